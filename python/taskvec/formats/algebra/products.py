"""LoHa, an element-wise product of two low-rank matrices, and LoKr, a Kronecker product."""

from __future__ import annotations

import torch
from torch import Tensor

from .basics import as_matrix, wide


def hadamard(w1a: Tensor, w1b: Tensor, w2a: Tensor, w2b: Tensor) -> tuple[Tensor, Tensor]:
    """(w1a w1b) ∘ (w2a w2b) by the row-wise Khatri–Rao products of its sides: rank at most r²."""
    w1a, w1b, w2a, w2b = (wide(as_matrix(t)) for t in (w1a, w1b, w2a, w2b))
    b = torch.einsum("or,os->ors", w1a, w2a).flatten(1)  # [out, r²]
    a = torch.einsum("ri,si->rsi", w1b, w2b).flatten(0, 1)  # [r², in]
    return b, a


def hadamard_tucker(
    t1: Tensor, w1a: Tensor, w1b: Tensor, t2: Tensor, w2a: Tensor, w2b: Tensor
) -> tuple[Tensor, Tensor]:
    """The same of two convolutions in Tucker form: t (r, r, k, k), w_a (r, out), w_b (r, in)."""
    sides = [torch.einsum("ij...,jn->in...", wide(t), wide(w)).flatten(1) for t, w in ((t1, w1b), (t2, w2b))]
    return hadamard(w1a.mT, sides[0], w2a.mT, sides[1])


def kronecker(w1: tuple[Tensor, Tensor], w2: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """w1 ⊗ w2 of two matrices given as factors: (b₁ ⊗ b₂)(a₁ ⊗ a₂), whose rank is the product of theirs."""
    b, a = (torch.einsum("ij,kl->ikjl", wide(x), wide(y)) for x, y in zip(w1, w2, strict=True))
    return b.flatten(2).flatten(0, 1), a.flatten(2).flatten(0, 1)


def smallest_factors(whole: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix as factors through its shorter side."""
    whole = wide(as_matrix(whole))
    if whole.shape[0] <= whole.shape[1]:
        return torch.eye(whole.shape[0], dtype=whole.dtype, device=whole.device), whole
    return whole, torch.eye(whole.shape[1], dtype=whole.dtype, device=whole.device)


def tucker_factors(t: Tensor, wa: Tensor, wb: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_ij t[i, j] wa[i, p] wb[j, q] for p × (q·k·k): LoKr's w2 of a convolution."""
    return wide(wa).mT, torch.einsum("ij...,jq->iq...", wide(t), wide(wb)).flatten(1)
