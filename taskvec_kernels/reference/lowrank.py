"""The canonical form of a task vector, by the SVD of the dense matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import LowRankSVD

EPS = 2.2e-16


def lowrank_svd(b: Tensor, a: Tensor, scale: float | Tensor = 1.0) -> LowRankSVD:
    """Dense fp64 SVD of τ = scale · b · a, cut to k = min(r, m, n); what is rounding noise becomes an exact zero."""
    m, r, n = *b.shape[-2:], a.shape[-1]
    tau = dense(b, a, scale)  # [..., m, n]
    k = min(r, m, n)
    broken = ~tau.isfinite().all(-1).all(-1)[..., None]  # such a matrix is NaN, the others are not touched
    U, S, Vh = torch.linalg.svd(tau.masked_fill(broken[..., None], 0), full_matrices=False)
    U, S, Vh = U[..., :k], S[..., :k].masked_fill(broken, torch.nan), Vh[..., :k, :]
    live = S > max(m, n) * EPS * S[..., :1]
    # the sum Σ b_l a_l rounds at eps · Σ ‖b_l‖‖a_l‖, which may be above eps · S_max
    terms = (norm_last(b.double().mT) * norm_last(a.double())).sum(-1)
    live &= S > 8 * EPS * (torch.as_tensor(scale, dtype=torch.float64).abs().to(S) * terms)[..., None]
    live = live.double().masked_fill(broken, torch.nan)
    return LowRankSVD(U * live[..., None, :], S * live, Vh * live[..., :, None])


def dense(b: Tensor, a: Tensor, scale: float | Tensor) -> Tensor:
    """τ = scale · b · a in fp64, (..., m, n)."""
    return torch.as_tensor(scale, dtype=torch.float64, device=b.device)[..., None, None] * (b.double() @ a.double())


def frobenius(t: Tensor) -> Tensor:
    return t.double().square().sum((-2, -1)).sqrt()


def norm_last(t: Tensor) -> Tensor:
    return t.square().sum(-1).sqrt()
