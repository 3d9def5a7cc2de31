"""The sign patterns of |d| that the chance of REC is taken over (docs/METHOD.md §4), the same in every backend.

A pattern x is a number of ``bits`` bits; direction k has a column c_k, and its sign in x is the parity of x & c_k. Of r
directions up to 10 every pattern is there once. Beyond, the columns of an orthogonal array of strength 3 say which.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

EXACT = 10
ARRAY_BITS = 8  # 256 patterns and their complements, enough for 256 directions


@lru_cache(maxsize=64)
def columns(r: int) -> tuple[int, ...]:
    """c_k of r directions; the highest bit is in all of them, so that every pattern has its complement."""
    if r <= EXACT:
        return tuple((1 << k >> 1) | (1 << max(0, r - 1)) for k in range(r))
    return tuple(c | 1 << bits(r) - 1 for c in array_columns(r, bits(r) - 1))


def bits(r: int) -> int:
    """Of a pattern: 2^bits patterns are all, or as many as the array has."""
    return max(1, r) if r <= EXACT else 1 + max(ARRAY_BITS, (r - 1).bit_length())


def array_columns(count: int, width: int) -> list[int]:
    """Each new column is the xor of the fewest three before it, and the smallest such number."""
    ids = np.arange(1 << width)
    pairs, triples = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64)
    found: list[int] = []
    for _ in range(count):
        new = int(triples.argmin())
        triples += pairs[ids ^ new]
        triples[new] = np.iinfo(np.int64).max // 2  # taken
        pairs[np.array(found, np.int64) ^ new] += 1
        found.append(new)
    return found


def sign_patterns(r: int) -> Tensor:
    """Where |d| is kept, (2^bits, r) bool."""
    x = torch.arange(1 << bits(r))[:, None] & torch.tensor(columns(r), dtype=torch.int64)
    for shift in (32, 16, 8, 4, 2, 1):
        x = x ^ x >> shift
    return (x & 1).bool()
