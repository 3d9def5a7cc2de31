"""Variants of LoRA whose update is B · A after some rearrangement."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .basics import as_matrix, block_diagonal, wide


def linear(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Linear layers, and convolutions with a kernel in A alone: B (out, r, 1…), A (r, in, k…)."""
    return as_matrix(b), as_matrix(a)


def with_mid(up: Tensor, mid: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """LoCon's Tucker form, A_i = Σ_j mid[i, j] ⊗ down[j]: up (out, r, 1, 1), mid (r, r, k, k), down (r, in, 1, 1)."""
    a = torch.einsum("ij...,jn->in...", wide(mid), wide(as_matrix(down)))  # [r, in, k, k]
    return as_matrix(up), as_matrix(a)


def grouped_convolution(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """B (out, r/g, 1, 1) over g groups, A (r, in, k, k) over all inputs: the blocks of B lie on a diagonal."""
    out, part = b.shape[:2]
    groups = a.shape[0] // part
    blocks = as_matrix(b).reshape(groups, out // groups, part)  # [g, out/g, r/g]
    return block_diagonal(blocks), as_matrix(a)


def repeated_inputs(b: Tensor, a: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """QALoRA: A (r, in/g) acts on sums over g inputs, times (in/g)/g as its client does."""
    return b, wide(a).repeat_interleave(group, dim=1) * (a.shape[1] / group)


def block_diagonal_a(b: Tensor, a: Tensor, blocks: int) -> tuple[Tensor, Tensor]:
    """BD-LoRA with A (r, in/n) stored as rows of n blocks."""
    return b, block_diagonal(a.reshape(blocks, a.shape[0] // blocks, a.shape[1]))


def block_diagonal_b(b: Tensor, a: Tensor, blocks: int) -> tuple[Tensor, Tensor]:
    """BD-LoRA with B (out, r/n) stored as rows of n blocks."""
    return block_diagonal(b.reshape(blocks, b.shape[0] // blocks, b.shape[1])), a


def merged_parts(b: Tensor, a: Tensor, enabled: Sequence[bool]) -> tuple[Tensor, Tensor]:
    """loralib's MergedLinear: parts of a fused projection, each with its own r rows of A and rows of B.

    B (parts·p, r[, 1]) and A (parts·r, in) hold the enabled parts alone; rows of the others are zero.
    """
    parts, rank = sum(enabled), a.shape[0] // sum(enabled)
    size = b.shape[0] // parts
    whole = b.new_zeros(size * len(enabled), parts * rank)
    rows = as_matrix(b).reshape(parts, size, rank)
    for part, place in enumerate(i for i, on in enumerate(enabled) if on):
        whole[place * size : (place + 1) * size, part * rank : (part + 1) * rank] = rows[part]
    return whole, a


def expert(b: Tensor, a: Tensor, count: int, e: int) -> tuple[Tensor, Tensor]:
    """Factors of one of ``count`` experts of a 3-D parameter: A (r·E, in) is expert-major, B (out, r·E) rank-major."""
    return b.reshape(b.shape[0], -1, count)[:, :, e], a.reshape(count, -1, a.shape[1])[e]


def loralib_convolution(b: Tensor, a: Tensor, kernel: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """loralib's Conv2d: (B A), (out·k, in·k), *viewed* as (out, in, k, k).

    Row o·k + p of B A holds a k-th part of the entries of output o, in the order of memory, so that output o is
    Σ_p e_p ⊗ (row p): with B as (out, k·r) against A repeated on a block diagonal, rank ≤ k·r.
    """
    k = kernel[0]
    rank = a.shape[0]
    rows = b.reshape(b.shape[0] // k, k * rank)  # [out, k·r]
    return rows, block_diagonal(a.expand(k, *a.shape))


def three_factors(b: Tensor, diagonal: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """B · diag(e) · A: AdaLoRA (E (r, 1)), KaSA."""
    return b, wide(diagonal).reshape(-1, 1) * wide(a)


def normalised(b: Tensor, a: Tensor, length: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
    """DELoRA: B · diag(λ / (r ‖A_i‖ ‖Bⁱ‖)) · A · diag(w); norms below 1e-4 count as 1e-4."""
    b, a = wide(b), wide(a)
    sizes = a.norm(dim=1).clamp(min=1e-4) * b.norm(dim=0).clamp(min=1e-4)
    return b * (wide(length) / (a.shape[0] * sizes)), a * wide(channels)
