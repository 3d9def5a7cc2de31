"""What the other modules share: a dtype to compute in, and convolutions as matrices."""

from __future__ import annotations

import torch
from torch import Tensor


def wide(t: Tensor) -> Tensor:
    """``t`` in fp32, or fp64 where it is: half precision is exact there, and products of entries round by 6e-8."""
    return t if t.dtype in (torch.float32, torch.float64) else t.float()


def as_matrix(t: Tensor) -> Tensor:
    """(out, in, k…) as (out, in·k…); matrices as they are."""
    return t if t.dim() <= 2 else t.flatten(1)


def block_diagonal(blocks: Tensor) -> Tensor:
    """(n, p, q) as the (n·p, n·q) matrix with the blocks on its diagonal."""
    n, p, q = blocks.shape
    whole = blocks.new_zeros(n, p, n, q)
    whole.diagonal(0, 0, 2).copy_(blocks.permute(1, 2, 0))  # [p, q, n]
    return whole.view(n * p, n * q)
