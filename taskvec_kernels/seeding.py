"""Random numbers that depend on a seed and a place alone, the same in every backend: splitmix64 as a hash."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SHIFTS = (30, 27, 31)
FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
GOLDEN = 0x9E3779B97F4A7C15


def signed(word: int) -> int:
    """The int64 of the same 64 bits."""
    return (word + 2**63) % 2**64 - 2**63


def shifted(z: Tensor, by: int) -> Tensor:
    """``z`` >> ``by`` with zeros from the left."""
    return torch.bitwise_and(z >> by, 2 ** (64 - by) - 1)


def mix(z: Tensor) -> Tensor:
    """The step of splitmix64 on int64, which wraps around."""
    z = z + signed(GOLDEN)
    for shift, factor in zip(SHIFTS, FACTORS, strict=False):
        z = (z ^ shifted(z, shift)) * signed(factor)
    return z ^ shifted(z, SHIFTS[-1])


def pair_seed(source: int | Tensor, target: Tensor) -> Tensor:
    """The seed of source→target from the seeds of the two, int64; the shapes broadcast."""
    first = source if isinstance(source, Tensor) else torch.full_like(target, signed(source))
    return mix(mix(first) + target)


def seeds(seed: int, shape: tuple[int, ...], device: torch.device | None = None) -> Tensor:
    """One int64 seed for each element of ``shape``, from one number, made on ``device``."""
    count = int(np.prod(shape, dtype=np.int64))
    return pair_seed(seed, torch.arange(count, device=device)).reshape(shape)


def normal(seed: Tensor, k: int) -> Tensor:
    """k draws of N(0, 1) for each seed (...), (..., k) fp64 on the CPU, by Box and Muller."""
    bits = pair_seed(seed[..., None], torch.arange(k, device=seed.device)).cpu()
    u = (shifted(bits, 32).double().numpy() + 1) / 2**32
    v = shifted(bits << 32, 32).double().numpy() / 2**32
    return torch.from_numpy(np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v))
