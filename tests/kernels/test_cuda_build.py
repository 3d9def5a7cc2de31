"""The CUDA part where there is no GPU: it loads without a driver, and whoever asks for CUDA is told why not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from taskvec_kernels import _C, backend_report, lowrank_svd, project
from taskvec_kernels.backends import cpu as native
from taskvec_kernels.backends import cuda
from taskvec_kernels.dispatch import registry, usable

from .cases import DTYPES, factors, name_of
from .compare import assert_same_bits

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
b, a = factors(9, 8, 3)


def one_line(text: str) -> bool:
    return bool(text) and "\n" not in text


def test_the_extension_needs_no_cuda_library() -> None:
    if shutil.which("readelf") is None:
        pytest.skip("no readelf")
    run = subprocess.run(["readelf", "-d", _C.__file__], capture_output=True, text=True, check=True)
    needed = re.findall(r"NEEDED.*\[(.*)\]", run.stdout)
    assert needed and not [name for name in needed if re.match(r"lib(cuda|cudart|nv|torch|c10)", name)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_every_call_says_so_in_one_line() -> None:
    said = "no usable CUDA driver: " if _C.cuda_built() else "this build has no CUDA kernels"
    assert _C.cuda_problem(0).startswith(said) and one_line(_C.cuda_problem(0))
    assert registry.usable("cuda") == (False, _C.cuda_problem(0))
    with pytest.raises(
        ValueError, match=rf"^lowrank_svd: backend 'cuda' cannot run: {said}.*; can run: cpu, "
    ) as caught:
        lowrank_svd(b, a, backend="cuda")
    assert one_line(str(caught.value))
    operands = [("float32", 0, length, (0, 0, 0)) for length in (9, 8)]
    with pytest.raises(RuntimeError, match="CUDA") as raised:
        _C.cuda_workspace(1, 3, *operands, 0)
    assert one_line(str(raised.value))
    with pytest.raises(RuntimeError, match="CUDA") as raised:
        _C.lowrank_svd_cuda(1, 3, *operands, 0, ((0, 0),) * 3, 0, 0, 0)
    assert one_line(str(raised.value))


def test_an_import_does_not_touch_the_driver() -> None:
    script = (
        "import taskvec_kernels, torch; assert not torch.cuda.is_initialized(); print(taskvec_kernels.simd_level())"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, cwd=ROOT)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose device 0 runs the kernels and whose device 1 is too old."""
    old = "device 1 has compute capability 7.5, the kernels need 8.0 or newer"
    monkeypatch.setattr(
        usable, "cuda_problem", lambda index: (index == 0, old if index else "compiled core, CUDA kernels")
    )
    monkeypatch.setattr(torch.version, "cuda", "13.0")


@pytest.mark.usefixtures("with_gpu")
def test_choices_with_a_gpu() -> None:
    assert registry.usable("cuda", GPU, "lowrank_svd")[0]
    assert registry.implementation("lowrank_svd", None, GPU) is cuda.lowrank_svd
    assert registry.implementation("lowrank_svd", None, CPU) is not cuda.lowrank_svd
    assert registry.usable("cuda", CPU) == (False, "takes CUDA tensors, got cpu")
    assert registry.usable("cuda", torch.device("cuda", 1))[1].startswith("device 1 has compute capability 7.5")
    assert {entry["name"]: entry["usable"] for entry in backend_report()}["cuda"]
    with pytest.raises(ValueError, match=r"^lowrank_svd: backend 'cuda' cannot run: takes CUDA tensors, got cpu; "):
        lowrank_svd(b, a, backend="cuda")


@pytest.mark.usefixtures("with_gpu")
def test_a_backend_may_lack_a_function() -> None:
    assert registry.usable("cuda", GPU, "project") == (False, "does not implement project")
    with pytest.raises(
        ValueError, match=r"^project: backend 'cuda' cannot run: does not implement project; can run: .*cpu"
    ):
        project(b, a, b, a, backend="cuda")


@pytest.mark.usefixtures("with_gpu")
def test_a_torch_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert re.match(r"torch .* is built without CUDA", registry.usable("cuda", GPU)[1])


class CoreOnTheCpu:
    """``_C`` whose CUDA entry takes host addresses: what is left is the way from tensors to the core."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.where: tuple[object, ...] = ()

    def cuda_workspace(self, *arguments: object) -> int:
        self.asked.append(arguments)
        return 64

    def lowrank_svd_cuda(self, *arguments: Any) -> None:
        *task, device, workspace, stream = arguments
        self.where = (device, workspace % 64, stream)
        _C.lowrank_svd(*task, 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_the_way_from_tensors_to_the_core(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    core = CoreOnTheCpu()
    monkeypatch.setattr(cuda, "_C", core)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
    b, a = factors(9, 8, 3, batch=(2, 5), dtype=dtype)
    scale = torch.arange(10.0, dtype=torch.float64).view(2, 5)
    for left, right in ((b, a), (b.mT.contiguous().mT, a[:1].expand(2, -1, -1, -1))):
        got = cuda.lowrank_svd(left, right, scale)
        assert_same_bits(got, native.lowrank_svd(left, right, scale))
    batch, r, *operands, index = core.asked[0]
    name = str(dtype).removeprefix("torch.")
    assert (batch, r, index) == (10, 3, 3) and [(o[0], o[2]) for o in operands] == [(name, 9), (name, 8)]
    assert core.where == (3, 0, 77)


def test_out_of_memory_is_torchs_own_error_with_a_hint() -> None:
    with (
        pytest.raises(torch.OutOfMemoryError, match=r"tried to allocate.*pass fewer than 7 matrices"),
        cuda.memory_hint(7),
    ):
        raise torch.OutOfMemoryError("tried to allocate 1 GiB")


CONFIGURED = {  # TASKVEC_CUDA, with an nvcc that does not work: whether CMake goes on, and what it says
    "off": (True, r"CUDA kernels: none \(TASKVEC_CUDA=off\)"),
    "auto": (True, r"CUDA kernels: none \(no working nvcc"),
    "on": (False, r"TASKVEC_CUDA=on: no working nvcc"),
    "maybe": (False, r"TASKVEC_CUDA is 'maybe', expected auto, on or off"),
}


@pytest.mark.parametrize("choice", CONFIGURED)
def test_configuring_with_a_broken_nvcc(choice: str, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("no cmake outside the isolated build")
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path), "-DTASKVEC_PYTHON=OFF", f"-DTASKVEC_CUDA={choice}"]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CUDACXX": "/bin/false"})
    goes_on, said = CONFIGURED[choice]
    assert (run.returncode == 0) == goes_on
    assert re.search(said, run.stdout + run.stderr)
