"""Two adapters cut to the smaller of their ranks."""

from __future__ import annotations

import torch

from taskvec.sweeps.cut import cut_to_smaller, unequal_ranks
from taskvec_kernels import LowRankSVD, lowrank_svd


def made(ranks: list[int], k: int, seed: int) -> LowRankSVD:
    """One adapter with a module of each rank, padded to k."""
    generator = torch.Generator().manual_seed(seed)
    L, m, n = len(ranks), 12, 10
    b, a = torch.randn(L, 1, m, k, generator=generator), torch.randn(L, 1, k, n, generator=generator)
    b *= torch.arange(k) < torch.tensor(ranks)[:, None, None, None]
    return lowrank_svd(b, a)


def tau(x: LowRankSVD) -> torch.Tensor:
    return x.U * x.S[..., None, :] @ x.Vh


def test_each_module_to_the_smaller_rank_of_its_two() -> None:
    x, y = made([4, 2, 3], 4, 1), made([3, 3, 3], 3, 2)
    assert unequal_ranks(x, y) and not unequal_ranks(x, x)
    cut = cut_to_smaller(x, y)
    for one, whole in zip(cut, (x, y), strict=True):
        assert [t.shape for t in one] == [t.shape for t in whole]
        for module, rank in enumerate((3, 2, 3)):
            U, S, Vh = (t[module, 0] for t in whole)
            best = U[:, :rank] * S[:rank] @ Vh[:rank]  # Eckart and Young
            torch.testing.assert_close(tau(one)[module, 0], best)
            assert (one.S[module, 0] > 0).sum() == rank
    assert not unequal_ranks(*cut)
