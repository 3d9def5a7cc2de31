"""The target on the source's singular directions."""

from __future__ import annotations

import torch
from torch import Tensor

from .lowrank import dense


def project(U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: float | Tensor = 1.0, *, clip: bool = True) -> Tensor:
    """diag(Uᴴ · scale·b·a · V), (..., k)."""
    return project_dense(U, Vh, dense(b, a, scale), clip=clip)


def project_dense(U: Tensor, Vh: Tensor, tau: Tensor, *, clip: bool = True) -> Tensor:
    """d = diag(Uᴴ τ V), S₂ = max(0, d): the minimiser of ‖U S Vᴴ − τ‖_F over non-negative diagonal S."""
    d = torch.diagonal(U.double().mT @ tau.double() @ Vh.double().mT, dim1=-2, dim2=-1)
    return clip_negative(d) if clip else d


def clip_negative(d: Tensor) -> Tensor:
    """max(0, d), NaN kept."""
    return torch.where(d < 0, 0.0, d)
