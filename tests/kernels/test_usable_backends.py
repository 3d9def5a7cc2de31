"""Which backends can run, and what is said of those that cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from taskvec_kernels import (
    backend_report,
    compare_spectra,
    lowrank_svd,
    pairwise,
    project,
    project_dense,
    sparsify,
)
from taskvec_kernels.dispatch import registry, usable

from .cases import factors, zoo

b, a = factors(9, 8, 3)
x = zoo(4, 9, 8, 3)
U, S, Vh = (t[0] for t in x)
TAU = torch.tensor(9.0)

CALLS: dict[str, Callable[..., Any]] = {
    "lowrank_svd": lambda **o: lowrank_svd(b, a, **o),
    "project": lambda **o: project(U, Vh, b, a, **o),
    "project_dense": lambda **o: project_dense(U, Vh, b @ a, **o),
    "compare_spectra": lambda **o: compare_spectra(S, S, **o),
    "pairwise": lambda **o: pairwise(x, **o),
    "sparsify": lambda **o: sparsify(S, TAU, 0.3, **o),
}


@pytest.mark.parametrize("function", CALLS)
def test_backends(function: str) -> None:
    call = CALLS[function]
    with pytest.raises(
        ValueError, match=rf"^{function}: unknown backend 'gpu'; can run: cpu, reference; cannot: cuda .*triton "
    ):
        call(backend="gpu")
    for planned in ("cuda", "triton"):
        with pytest.raises(
            ValueError, match=rf"^{function}: backend '{planned}' cannot run: .+; can run: cpu, reference"
        ):
            call(backend=planned)
    for forced in (None, "cpu", "reference"):
        call(backend=forced)


def test_report_names_every_backend() -> None:
    report = {entry["name"]: entry for entry in backend_report()}
    assert list(report) == ["cpu", "cuda", "triton", "reference"]
    assert report["cpu"]["usable"] and "SIMD level" in report["cpu"]["reason"]
    assert all(entry["reason"] for entry in report.values())


def test_without_the_core_the_reference_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usable, "native", lambda: (False, "the compiled core does not load (no such file)"))
    with pytest.warns(RuntimeWarning, match="slow fp64 reference.*does not load"):
        lowrank_svd(b, a)
    with pytest.raises(ValueError, match="backend 'cpu' cannot run: the compiled core does not load"):
        lowrank_svd(b, a, backend="cpu")
    assert registry.simd_level() is None


def test_a_function_that_a_backend_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    there = replace(registry.BACKENDS["triton"], usable=lambda device: (True, "a GPU that is not there"))
    monkeypatch.setitem(registry.BACKENDS, "triton", there)
    message = r"lowrank_svd: backend 'triton' cannot run: does not implement lowrank_svd; can run: cpu"
    with pytest.raises(ValueError, match=message):
        lowrank_svd(b, a, backend="triton")


GPU = "NVIDIA GTX of old"
# what is missing -> what the message says, and what would work
TRITON: dict[str, tuple[str, dict[str, Any]]] = {
    "no triton": ("Triton is not installed; pip install 'triton>=3.6'", {"find_spec": None}),
    "old triton": ("needs Triton 3.6 or newer, found 3.5.1; pip install", {"version": "3.5.1"}),
    "no GPU": ("sees no CUDA GPU", {"is_available": False}),
    "CPU tensors": ("takes CUDA tensors, got cpu; move them with .cuda()", {}),
    "old GPU": (r"needs a GPU of compute capability 8.0, NVIDIA GTX of old has (7, 5)", {"capability": (7, 5)}),
}


@pytest.mark.parametrize("case", TRITON)
def test_triton_says_what_is_missing(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message, there = TRITON[case]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: there.get("find_spec", name))
    monkeypatch.setattr("importlib.metadata.version", lambda name: there.get("version", "3.6.0"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: there.get("is_available", True))
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: there.get("capability", (9, 0)))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: GPU)
    for kept in (usable.triton_package, usable.triton_gpu):
        monkeypatch.setattr(usable, kept.__name__, kept.__wrapped__)  # what it says of this machine is kept
    device = torch.device("cuda" if case == "old GPU" else "cpu")
    ok, reason = registry.usable("triton", device, "pairwise")
    assert not ok and message in reason and "\n" not in reason
    assert registry.usable("triton", torch.device("cuda"))[0] == (case in ("CPU tensors",))


def test_a_device_the_core_does_not_take() -> None:
    ok, reason = registry.usable("cpu", torch.device("cuda"))
    assert not ok and "cuda" in reason
