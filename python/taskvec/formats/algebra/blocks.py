"""Methods that work on blocks of the weight: GraLoRA, MiSS, C3A, and sparse updates."""

from __future__ import annotations

import torch
from torch import Tensor

from .basics import wide


def gralora(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """GraLoRA of k × k blocks: A (k, in/k, r), B (k, r, out/k), ranks cut into k slices that the blocks exchange.

    Block (m, n) of τ is (A_n[:, slice m] B_m[slice n])ᵀ, of rank r/k: together rank at most k·r.
    """
    k, part, rank = a.shape
    a, b = wide(a).reshape(k, part, k, rank // k), wide(b).reshape(k, k, rank // k, b.shape[2])  # [n,i,m,s] [m,n,s,o]
    left = a.new_zeros(k, b.shape[3], k, k, rank // k)  # [m, o, m', n, s]
    right = a.new_zeros(k, k, rank // k, k, part)  # [m', n, s, n', i]
    left.diagonal(0, 0, 2).copy_(b.permute(3, 1, 2, 0))  # [o, n, s, m]
    right.diagonal(0, 1, 3).copy_(a.permute(2, 3, 1, 0))  # [m, s, i, n]
    return left.reshape(k * b.shape[3], -1), right.reshape(-1, k * part)


def miss(block: Tensor, inputs: int, repeats: int = 1) -> tuple[Tensor, Tensor]:
    """MiSS: column j of τ is row j mod r of the block (r, out); "mini" repeats a short block along out."""
    block = wide(block).repeat(1, repeats)
    rank = block.shape[0]
    rows, columns = torch.arange(rank, device=block.device), torch.arange(inputs, device=block.device)
    return block.mT, (columns % rank == rows[:, None]).to(block.dtype)  # [r, in]


def c3a(kernel: Tensor) -> Tensor:
    """C3A's τ, dense: blocks (out/b, in/b, b) that are circulant, τ[o, i] = kernel[(i − o) mod b] / in."""
    rows, columns, size = kernel.shape
    step = torch.arange(size, device=kernel.device)
    place = (step[None, :] - step[:, None]) % size  # [o, i]
    blocks = wide(kernel)[:, :, place] / (columns * size)  # [rows, columns, o, i]
    return blocks.transpose(1, 2).reshape(rows * size, columns * size)


def scattered(indices: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """SHiRA's τ, dense: values at (row, column) indices (2, count); repeated places add up."""
    if values.shape != indices.shape[1:]:
        raise ValueError("one value for each place")
    tau = wide(values).new_zeros(shape)
    return tau.index_put_((indices[0].long(), indices[1].long()), wide(values), accumulate=True)
