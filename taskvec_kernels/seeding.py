"""Random numbers that depend on a seed and a place alone, the same in every backend: splitmix64 as a hash."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SHIFTS = (30, 27, 31)
FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
GOLDEN = 0x9E3779B97F4A7C15


def mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The step of splitmix64, with wrap-around."""
    with np.errstate(over="ignore"):
        z = z + np.uint64(GOLDEN)
        for shift, factor in zip(SHIFTS, FACTORS, strict=False):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        return z ^ (z >> np.uint64(SHIFTS[-1]))


def combine(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        return mix(mix(one) + other)


def as_bits(seed: int | Tensor) -> NDArray[np.uint64]:
    if isinstance(seed, Tensor):
        return np.asarray(seed.cpu().numpy().astype(np.int64).view(np.uint64))
    return np.asarray(np.uint64(seed % 2**64))


def pair_seed(source: int | Tensor, target: int | Tensor) -> Tensor:
    """The seed of source→target from the seeds of the two, int64; the shapes broadcast."""
    return torch.from_numpy(np.ascontiguousarray(combine(as_bits(source), as_bits(target))).view(np.int64))


def seeds(seed: int, shape: tuple[int, ...]) -> Tensor:
    """One int64 seed for each element of ``shape``, from one number."""
    count = int(np.prod(shape, dtype=np.int64))
    return pair_seed(seed, torch.arange(count)).reshape(shape)


def normal(seed: Tensor, k: int) -> Tensor:
    """k draws of N(0, 1) for each seed (...), (..., k) fp64, by Box and Muller."""
    bits = combine(as_bits(seed)[..., None], np.arange(k, dtype=np.uint64))
    u = ((bits >> np.uint64(32)).astype(np.float64) + 1) / 2**32
    v = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) / 2**32
    return torch.from_numpy(np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v))
