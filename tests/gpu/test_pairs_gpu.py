"""The Triton backend on a GPU: streams, CUDA graphs, ``torch.compile``, memory and λ > 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from taskvec_kernels import LowRankSVD, Solver, compare_spectra, pairwise, project, project_dense, reference, sparsify
from taskvec_kernels.seeding import seeds

from ..kernels.cases import ALL_PAIRWISE, factors, name_of, random, zoo
from ..kernels.compare import assert_pairs, assert_same_bits
from .conftest import on_a_busy_stream
from .test_functions import result, there

BACKENDS = ("triton",)
MEMORY = 2**30  # besides inputs and outputs


def calls(gpu: torch.device) -> dict[str, Callable[[], Any]]:
    """Every function of the backend on inputs that are kept, so that a captured graph reads them again."""
    x = there(zoo(9, 70, 50, 8), gpu)
    b, a = (there(t, gpu) for t in factors(70, 50, 4, batch=(9,)))
    d, norm = there(random(300, 8).float(), gpu), there(10 + random(300, seed=1).abs().float(), gpu)
    return {
        "pairwise": lambda: pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=3.0).forward,
        "pairwise medium": lambda: pairwise(x, precision="medium").forward,
        "pairwise of two": lambda: pairwise(x, LowRankSVD(*(t[:3] for t in x))).backward,
        "pairwise of several λ": lambda: pairwise(x, lam=[0.0, 0.01]).forward,
        "project": lambda: project(x.U, x.Vh, b, a, 0.5),
        "project_dense": lambda: project_dense(x.U, x.Vh, b @ a),
        "compare_spectra": lambda: compare_spectra(x.S, x.S.flip(-1)),
        "sparsify": lambda: sparsify(d, norm, 0.1),
        "sparsify by adam": lambda: sparsify(d, norm, 0.1, method="adam", steps=50),
    }


NAMES = [
    "pairwise", "pairwise medium", "pairwise of two", "pairwise of several λ", "project", "project_dense",
    "compare_spectra", "sparsify", "sparsify by adam",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_cuda_graph(name: str, gpu: torch.device) -> None:
    run = calls(gpu)[name]
    want = run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run()
    graph.replay()
    assert_same_bits(out, want)


@pytest.mark.parametrize("name", NAMES)
def test_another_stream_without_waiting(name: str, gpu: torch.device) -> None:
    run = calls(gpu)[name]
    want = run()
    assert_same_bits(on_a_busy_stream(run), want)


@pytest.mark.parametrize("name", NAMES)
def test_compile_and_repeat(name: str, gpu: torch.device) -> None:
    run = calls(gpu)[name]
    torch.compiler.reset()
    want = run()
    assert_same_bits(run(), want)
    assert_same_bits(torch.compile(run, fullgraph=True, backend="aot_eager")(), want)


@pytest.mark.parametrize("norm", ["frobenius", "squared"])
def test_pairwise_with_lambda(norm: str, gpu: torch.device) -> None:
    x, y = zoo(33, 70, 50, 8), zoo(7, 70, 50, 3, seed=10)
    lams = [0.0, 0.01, 0.2]
    for other in (None, y):
        out = pairwise(
            there(x, gpu), None if other is None else there(y, gpu), solver=Solver(lams, norm=norm),
            metrics=ALL_PAIRWISE, spectra=True, p=3.0,
        )  # fmt: skip
        assert_pairs(result(out, gpu), x, other, p=3.0, lam=lams, norm=norm)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
@pytest.mark.parametrize("r", [1, 8, 64, 256])
def test_sparsify(r: int, dtype: torch.dtype, gpu: torch.device) -> None:
    d = (random(500, r) * random(500, 1, seed=1)).to(dtype)
    norm = (d.square().sum(-1) + random(500, seed=2).to(dtype).square()).sqrt()
    size = float(norm.max())
    for lam in (0.0, 0.1, 0.97):
        S = sparsify(there(d, gpu), there(norm, gpu), lam)
        torch.testing.assert_close(S.cpu().double(), reference.sparsify(d, norm, lam), rtol=1e-6, atol=1e-6 * size)
        draws = seeds(0, (500,))
        given: dict[str, Any] = {"method": "adam", "start": "normal", "return_info": True}
        _, info = sparsify(there(d, gpu), there(norm, gpu), lam, seed=there(draws, gpu), **given)
        _, best = sparsify(d, norm, lam, return_info=True)
        held = norm.square() - d.square().sum(-1) >= 0.01 * norm.square()
        assert ((info.objective.cpu() - best.objective).abs() <= 1e-4 * norm)[held].all()


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_peak_memory(precision: str, gpu: torch.device) -> None:
    U, V = (torch.randn(4096, 8, 512, device=gpu) / 512**0.5 for _ in range(2))  # more than one panel
    x = LowRankSVD(U.mT, torch.ones(4096, 8, device=gpu), V)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    out = pairwise(x, metrics=("rec",), precision=precision)
    assert torch.cuda.max_memory_allocated() - before <= out.forward["rec"].nbytes + MEMORY


def test_another_device() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    x = zoo(5, 30, 20, 4)
    out = pairwise(LowRankSVD(*(t.to("cuda:1") for t in x)))
    assert out.forward["rec"].device.index == 1 and torch.cuda.current_device() == 0
    assert_pairs(out._replace(forward={name: t.cpu() for name, t in out.forward.items()}), x)
