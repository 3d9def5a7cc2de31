"""No function copies between host and device: a copy from pageable memory waits for the GPU, and breaks a CUDA graph.

Without a GPU: the inputs are fake tensors on ``cuda:0``, and every operator of torch that a call runs is watched, from
the public function down to the launches of the backends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import taskvec_kernels as tk
from taskvec_kernels.backends import cuda
from taskvec_kernels.dispatch import operators
from taskvec_kernels.metrics import PAIRWISE, SPECTRAL

pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") == "1", reason="records launches, which are then run"
)
GPU, META = torch.device("cuda", 0), torch.device("meta")


class Watch(TorchDispatchMode):
    """Runs this package's operators by their backends, and notes every operator that has tensors on both devices."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []
        self.operators: set[str] = set()  # of this package

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.prim.device.default and not torch.backends.cuda.is_built():
            return META if args[0].device == GPU else args[0].device  # of GPUs torch's views ask for a driver
        name = func.name()
        if name.startswith("taskvec::"):
            self.operators.add(name.removeprefix("taskvec::"))
            with self:
                return operators.FUNCTIONS[name.removeprefix("taskvec::")](*args, **(kwargs or {}))
        out = func(*args, **(kwargs or {}))
        devices = {t.device.type for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)}
        if len(devices) > 1:
            self.copies.append(name)
        return out


class Core:
    """``_C`` whose CUDA entry launches nothing."""

    calls = 0

    def cuda_workspace(self, *arguments: object) -> int:
        return 64

    def lowrank_svd_cuda(self, *arguments: object) -> None:
        self.calls += 1


@contextmanager
def watched(core: Core) -> Iterator[Watch]:
    """Fake tensors, the backends of a GPU, and their launches recorded instead of run."""
    triton = pytest.importorskip("tests.triton_backend.variants")

    def backend(function: str, name: str | None, device: torch.device) -> Any:
        return getattr(cuda if function == "lowrank_svd" else triton.backend, function)

    watch = Watch()
    with (
        mock.patch.object(operators, "implementation", backend),
        mock.patch.object(cuda, "_C", core),
        mock.patch.object(torch.cuda, "current_stream", lambda device: mock.Mock(cuda_stream=0)),
        mock.patch.object(FakeTensor, "data_ptr", lambda self: 0),
        triton.recorded(90) as launches,
        FakeTensorMode(),
        watch,
    ):
        yield watch
    assert launches or core.calls


def adapters(N: int, k: int, batch: tuple[int, ...] = ()) -> tk.LowRankSVD:
    shapes = ((N, k, 70), (N, k), (N, k, 50))
    Ut, S, Vh = (torch.empty(*batch, *shape, device=GPU) for shape in shapes)
    return tk.LowRankSVD(Ut.mT, S, Vh)


def factors(k: int) -> tuple[Tensor, Tensor]:
    return torch.empty(9, 70, k, device=GPU), torch.empty(9, k, 50, device=GPU)


def spectra() -> tuple[Tensor, Tensor]:
    return torch.empty(30, 8, device=GPU), torch.empty(30, device=GPU)


ALL: dict[str, Any] = {"metrics": PAIRWISE, "spectra": True, "p": 3.0}
ADAM: dict[str, Any] = {"method": "adam", "start": "normal", "seed": 3}
CALLS: dict[str, Callable[[], Any]] = {
    "lowrank_svd": lambda: tk.lowrank_svd(*factors(4), 0.5),
    "project": lambda: tk.project(adapters(9, 8).U, adapters(9, 8).Vh, *factors(4), 0.5),
    "project_dense": lambda: tk.project_dense(adapters(9, 8).U, adapters(9, 8).Vh, torch.empty(9, 70, 50, device=GPU)),
    "compare_spectra": lambda: tk.compare_spectra(spectra()[0], spectra()[0], metrics=SPECTRAL, p=3.0),
    "pairwise": lambda: tk.pairwise(adapters(9, 8), **ALL),
    "pairwise of two": lambda: tk.pairwise(adapters(9, 8, (2,)), adapters(5, 3, (2,)), **ALL),
    "pairwise of several λ": lambda: tk.pairwise(adapters(9, 8), lam=[0.0, 0.01], **ALL),
    "pairwise with norms": lambda: tk.pairwise(adapters(9, 8), norm=torch.empty(9, device=GPU), **ALL),
    "pairwise by Adam": lambda: tk.pairwise(adapters(9, 8), adapters(5, 3), solver=tk.Solver(0.1, **ADAM), **ALL),
    "sparsify": lambda: tk.sparsify(*spectra(), 0.1, return_info=True),
    "sparsify of several λ": lambda: tk.sparsify(*spectra(), [0.0, 0.1]),
    "sparsify by Adam": lambda: tk.sparsify(*spectra(), 0.1, **ADAM),
}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_copied(name: str) -> None:
    core = Core()
    with watched(core) as watch:
        out = CALLS[name]()
    assert watch.operators == {name.split()[0]}
    assert watch.copies == []
    assert all(t.device == GPU for t in tree_leaves(out) if isinstance(t, Tensor))


def test_every_function_is_watched() -> None:
    assert {name.split()[0] for name in CALLS} == set(operators.FUNCTIONS)


def test_a_copy_is_seen() -> None:
    with FakeTensorMode(), Watch() as watch:
        torch.tensor(0.1, device=GPU)
        torch.arange(3).to(GPU)
    assert len(watch.copies) == 2
