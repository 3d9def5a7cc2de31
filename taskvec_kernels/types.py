"""Result types of the public functions."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class LowRankSVD(NamedTuple):
    """Thin SVD τ = U · diag(S) · Vh, as ``torch.linalg.svd(..., full_matrices=False)`` returns it.

    Attributes:
        U: (..., m, k) left directions; stored by direction, so ``U.mT`` is contiguous.
        S: (..., k) singular values, descending; a zero is exact, and its columns of U and V are zero.
        Vh: (..., k, n) right directions.
    """

    U: Tensor
    S: Tensor
    Vh: Tensor


class Pairwise(NamedTuple):
    """Metrics of every ordered pair, by name.

    Attributes:
        forward: ``forward[name][..., i, j]`` is x_i→y_j, (..., N, M).
        backward: ``backward[name][..., j, i]`` is y_j→x_i, (..., M, N); None when y is None.
    """

    forward: dict[str, Tensor]
    backward: dict[str, Tensor] | None
