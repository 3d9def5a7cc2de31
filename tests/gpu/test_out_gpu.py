"""``out=`` on a GPU: the same bits, in memory of any batch stride where the function takes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import taskvec_kernels as tk
from taskvec_kernels import LowRankSVD

from ..kernels.cases import factors, zoo
from ..kernels.compare import assert_same_bits
from ..kernels.test_out import empty_like
from .conftest import GPU

BACKENDS = ("cuda", "triton")


def calls() -> dict[str, Callable[..., Any]]:
    b, a = (t.to(GPU) for t in factors(40, 24, 8, batch=(4,)))
    x = LowRankSVD(*(t.to(GPU) for t in zoo(4, 40, 24, 8)))
    norm = 9 * torch.ones(4, device=GPU)
    return {
        "project": lambda **o: tk.project(x.U, x.Vh, b, a, **o),
        "project_dense": lambda **o: tk.project_dense(x.U, x.Vh, b @ a, **o),
        "compare_spectra": lambda **o: tk.compare_spectra(x.S, x.S.flip(-1), **o),
        "sparsify": lambda **o: tk.sparsify(x.S, norm, [0.1, 0.3], return_info=True, **o),
        "pairwise": lambda **o: tk.pairwise(x, spectra=True, **o),
        "pairwise of two": lambda **o: tk.pairwise(x, x, lam=[0.0, 0.2], **o),
    }


@pytest.mark.parametrize(
    "name", ["project", "project_dense", "compare_spectra", "sparsify", "pairwise", "pairwise of two"]
)
def test_the_same_bits(name: str) -> None:
    call = calls()[name]
    want = call()
    out = empty_like(want)
    assert call(out=out) is out
    assert_same_bits(out, want)


@pytest.mark.parametrize("gap", [0, 1, 4])
@pytest.mark.parametrize("shape", [(40, 24, 8), (33, 18, 5), (9, 700, 300)], ids=str)
def test_matrices_with_room_between_them(shape: tuple[int, int, int], gap: int) -> None:
    m, n, r = shape
    k = min(shape)
    b, a = (t.to(GPU) for t in factors(m, n, r, batch=(3,)))
    want = tk.lowrank_svd(b, a)
    memory = torch.full((3, k * (m + n + 1) + gap), torch.nan, device=GPU)
    u, vh, s, rest = memory.split([k * m, k * n, k, gap], dim=1)
    out = LowRankSVD(u.view(3, k, m).mT, s, vh.view(3, k, n))
    assert_same_bits(tuple(tk.lowrank_svd(b, a, out=out)), tuple(want))
    assert rest.isnan().all()
