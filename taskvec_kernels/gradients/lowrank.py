"""``lowrank_svd``: the differential of a thin SVD, from products with m × r and r × n matrices (docs/METHOD.md §8)."""

from __future__ import annotations

import torch
from torch import Tensor

from .rule import Arguments, Differential, Outputs, Tangents, Wanted


def lowrank_svd(arguments: Arguments, outputs: Outputs, tangents: Tangents, wanted: Wanted) -> list[Tensor]:
    """dUᵀ, dS, dVh. Equal singular values divide by 0; directions of a zero singular value have derivative 0."""
    b, a, scale, *_ = arguments
    Ut, S, Vh = outputs
    U, V = Ut.mT, Vh.mT
    dtau_V, dtau_T_U = moved(b, a, scale[..., None, None], tangents, U, V)  # [..., m, k], [..., n, k]
    A = Ut @ dtau_V  # [..., k, k], Uᵀ dτ V
    dS = A.diagonal(dim1=-2, dim2=-1)
    if list(wanted) == [1]:
        return [dS]
    zero = S == 0
    pair = ~(zero[..., :, None] | zero[..., None, :]) & ~torch.eye(S.shape[-1], dtype=torch.bool, device=S.device)
    row, column = S[..., :, None], S[..., None, :]
    even = torch.where(pair, (A + A.mT) / 2 / torch.where(pair, column - row, 1), 0)
    odd = torch.where(pair, (A - A.mT) / 2 / torch.where(pair, column + row, 1), 0)
    inverse = torch.where(zero, 0, 1 / torch.where(zero, 1, S))[..., None, :]
    dU = U @ (even + odd) + (dtau_V - U @ A) * inverse
    dV = V @ (even - odd) + (dtau_T_U - V @ A.mT) * inverse
    every = (dU.mT, dS, dV.mT)
    return [every[i] for i in wanted]


def moved(b: Tensor, a: Tensor, scale: Tensor, tangents: Tangents, U: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    """dτ V and dτᵀ U, with dτ = scale (db a + b da) + dscale b a."""
    db, da, dscale, *_ = tangents
    right, left = torch.zeros_like(U), torch.zeros_like(V)
    for factor_b, factor_a, weight in ((db, a, scale), (b, da, scale), (b, a, dscale)):
        if factor_b is None or factor_a is None or weight is None:
            continue
        weight = weight if weight is scale else weight[..., None, None]
        right = right + weight * (factor_b @ (factor_a @ V))
        left = left + weight * (factor_a.mT @ (factor_b.mT @ U))
    return right, left


LOWRANK_SVD = Differential(lowrank_svd)
