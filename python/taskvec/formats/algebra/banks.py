"""Methods whose factors are drawn from tensors that all modules share."""

from __future__ import annotations

import torch
from torch import Tensor

from .basics import wide


def vera(lambda_b: Tensor, lambda_d: Tensor, shared_b: Tensor, shared_a: Tensor, inputs: int) -> tuple[Tensor, Tensor]:
    """VeRA: diag(λ_b) · B[:out] · diag(λ_d) · A[:, :in]."""
    b = wide(lambda_b)[:, None] * wide(shared_b)[: lambda_b.shape[0]]
    return b, wide(lambda_d)[:, None] * wide(shared_a)[:, :inputs]


def vblora(bank: Tensor, a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """VB-LoRA: sub-vectors mixed from a bank, given as (indices (…, k), weights (…, k)).

    a: (r, in/v, k), b: (out/v, r, k), for vectors of length v.
    """
    of_a, of_b = ((wide(weights)[..., None] * wide(bank)[indices.long()]).sum(-2) for indices, weights in (a, b))
    return of_b.transpose(1, 2).flatten(0, 1), of_a.flatten(1)  # [out, r], [r, in]


def topk_of_logits(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(indices, weights) of the k largest logits: softmax over them."""
    top, indices = wide(logits).topk(k, dim=-1)
    return indices, top.softmax(-1)


def topk_of_weights(indices: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(indices, weights) as saved: the last weight is what the others leave of 1."""
    weights = wide(weights)
    return indices, torch.cat([weights, 1 - weights.sum(-1, keepdim=True)], -1)


def unilora(theta: Tensor, a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """UniLoRA: θ[indices] · scales for each factor, given as (indices, scales)."""
    of_a, of_b = (wide(theta)[indices.long()] * wide(scales) for indices, scales in (a, b))
    return of_b, of_a


def tinylora(b: Tensor, a: Tensor, projections: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """TinyLoRA: B · (Σ_u v_u P_u) · A."""
    return wide(b) @ torch.einsum("u,uij->ij", wide(v), wide(projections)), wide(a)


def randlora(shared_b: Tensor, shared_a: Tensor, lam: Tensor, gamma: Tensor, out: int, inputs: int) -> Tensor:
    """RandLoRA's τ, dense: scaled bases multiplied as the client flattens them, transposed where out < in.

    shared_b (≥ longer side, n, r), shared_a (r, 1, ≥ shorter side), lam (r, n), gamma (n, shorter side). The client
    pairs B's (n, r) with the (r, n) of λ · A · γ in the order of memory; so does this.
    """
    small, large, bases = min(out, inputs), max(out, inputs), gamma.shape[0]
    a = wide(lam)[:, :, None] * wide(shared_a)[:, :, :small] * wide(gamma)[None, :, :small]  # [r, n, small]
    tau = wide(shared_b)[:large, :bases].flatten(1) @ a.flatten(0, 1)  # [large, small]
    return tau if small == inputs else tau.mT
