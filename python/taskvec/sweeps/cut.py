"""Two adapters cut to the smaller of their ranks: of unequal ones the bigger holds more, whatever the tasks."""

from __future__ import annotations

import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD


def unequal_ranks(x: LowRankSVD[Tensor], y: LowRankSVD[Tensor]) -> bool:
    """Whether the two differ in rank in any module; a rank is the number of non-zero S."""
    return bool((ranks(x) != ranks(y)).any())


def cut_to_smaller(x: LowRankSVD[Tensor], y: LowRankSVD[Tensor]) -> tuple[LowRankSVD[Tensor], LowRankSVD[Tensor]]:
    """Both with the first directions alone, module by module as many as the one of smaller rank has.

    One that has no more is not copied.

    Args:
        x: one adapter, U (L, 1, m, k_x), S (L, 1, k_x), Vh (L, 1, k_x, n).
        y: another, with k_y.

    Returns:
        The two in their own shapes, with zeros for the directions that are cut.
    """
    rank = torch.minimum(ranks(x), ranks(y))  # [L, 1]
    return keep(x, rank), keep(y, rank)


def ranks(x: LowRankSVD[Tensor]) -> Tensor:
    return (x.S > 0).sum(-1)


def keep(x: LowRankSVD[Tensor], rank: Tensor) -> LowRankSVD[Tensor]:
    if bool((ranks(x) <= rank).all()):
        return x
    kept = torch.arange(x.S.shape[-1], device=x.S.device) < rank[..., None]  # [L, 1, k]
    return LowRankSVD((x.U.mT * kept[..., None]).mT, x.S * kept, x.Vh * kept[..., None])
