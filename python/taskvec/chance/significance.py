"""How far REC lies above its chance value, and how sure that is over the pairs of a sweep."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .means import Floats

NEGATIVE = 50  # pairs with a negative z that σ₀ needs
IN_MEMORY = 2**22  # numbers that are sorted in memory; more are in a file without a name
CHUNK = 2**18  # numbers at work
ROUNDING = 1e-9  # relative: two sums of one z over modules, in another order
Correction = Literal["bh", "by"]


class RecZ:
    """Running z_S = Σ(REC − chance) / √Σ sd² over modules without a NaN; NaN where Σ sd² = 0."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.above = np.zeros(shape)
        self.variance = np.zeros(shape)

    def add(self, rec: Floats, chance: Floats, sd: Floats) -> None:
        """Blocks (modules, ...), chance and sd of a shape that broadcasts to rec's."""
        self.above += np.nansum(np.subtract(rec, chance, dtype=np.float64), axis=0)
        self.variance += np.where(np.isnan(rec), 0.0, np.square(sd, dtype=np.float64)).sum(axis=0)

    @property
    def value(self) -> NDArray[np.float64]:
        spread = np.sqrt(self.variance)
        z: NDArray[np.float64] = np.divide(self.above, spread, out=np.full_like(self.above, np.nan), where=spread > 0)
        return z


def rec_z(rec: Floats, chance: Floats, sd: Floats) -> NDArray[np.float64]:
    """``RecZ`` over the first axis at once."""
    rec = np.asarray(rec)
    z = RecZ(rec.shape[1:])
    z.add(rec, np.asarray(chance), np.asarray(sd))
    return z.value


@dataclass
class Negative:
    """The z's below 0 of a sweep: how many they are, and the sum of their squares."""

    count: int = 0
    squares: float = 0.0

    def add(self, z: Floats) -> None:
        negative = z[z < 0].astype(np.float64)
        self.count += negative.size
        self.squares += float(np.square(negative).sum())

    @property
    def sigma0(self) -> float:
        """σ₀ = max(1, √mean(z² | z < 0)): how much wider than N(0, 1) the z of unrelated pairs are.

        Relations make z positive, so the negative half is that of chance. NaN with fewer than 50 negative z's.
        """
        return max(1.0, math.sqrt(self.squares / self.count)) if self.count >= NEGATIVE else math.nan


def sigma0(z: Floats) -> float:
    """σ₀ of these z's: ``Negative.sigma0``."""
    negative = Negative()
    negative.add(np.asarray(z))
    return negative.sigma0


def p_values(z: Floats) -> NDArray[np.float64]:
    """One-sided p of z under N(0, 1); NaN stays NaN. A tenth of a microsecond each: scipy's is faster, but for its
    import."""
    root = np.asarray(z, np.float64) / math.sqrt(2)
    erfc = np.fromiter(map(math.erfc, root.reshape(-1).tolist()), np.float64, root.size)
    p: NDArray[np.float64] = erfc.reshape(root.shape) / 2
    return p


@dataclass(frozen=True)
class QValues:
    """The adjusted p of every z of a sweep: a falling step function of z.

    Attributes:
        z: (n,) ascending.
        q: (n,) of z and above, to the next one.
    """

    z: Floats
    q: Floats

    def __call__(self, z: Floats) -> NDArray[np.float64]:
        """q of z (...); NaN stays NaN."""
        z = np.asarray(z, np.float64)
        found = np.full(z.size, np.nan)
        for start in range(0, z.size, CHUNK):
            some = z.reshape(-1)[start : start + CHUNK]
            known = ~np.isnan(some)
            place = np.searchsorted(self.z, some[known] + ROUNDING * abs(some[known]), side="right") - 1
            q = np.where(place >= 0, self.q[np.maximum(place, 0)], 1.0) if len(self.z) else 1.0
            found[start : start + CHUNK][known] = q
        return found.reshape(z.shape)


def q_values(
    z: Floats,
    counts: NDArray[np.integer] | None = None,
    *,
    tests: int | None = None,
    sigma: float = 1.0,
    correction: Correction = "bh",
) -> QValues:
    """Adjusted p of Benjamini and Hochberg (1995), or of Benjamini and Yekutieli (2001), for any dependence.

    Args:
        z: (n,) ascending, without NaN: values, or lower edges of bins.
        counts: how many values lie from each one of ``z`` to the next; None: one. Of bins, q is that of their lower
            edge: never too small.
        tests: all there are, of which ``z`` may be the largest; None: as many as are counted.
        sigma: z is divided by it for its p.
        correction: "bh" or "by".

    Cost:
        Three fp64 arrays of n, in a file where they are too large for memory.
    """
    n = len(z)
    counted = n if counts is None else int(counts.sum())
    tests = counted if tests is None else tests
    harmonic = harmonic_number(tests) if correction == "by" and tests else 1.0
    q = scratch(n)
    least, before = 1.0, 0  # q so far, and values below
    for start in range(0, n, CHUNK):
        rows = slice(start, start + CHUNK)
        size = np.ones(len(z[rows]), np.int64) if counts is None else counts[rows].astype(np.int64)
        below = before + np.cumsum(size) - size
        above = np.maximum(counted - below, 1)
        steps = np.minimum(p_values(z[rows] / sigma) * harmonic * tests / above, least)
        q[rows] = np.minimum.accumulate(steps)
        least, before = float(q[rows][-1]), int(below[-1] + size[-1])
    return QValues(z, q)


def harmonic_number(n: int) -> float:
    """1 + 1/2 + … + 1/n."""
    from scipy.special import digamma  # a tenth of a second, which most tables need not wait for

    return float(digamma(n + 1) + np.euler_gamma)


def sorted_values(parts: Iterable[Floats], most: int) -> NDArray[np.float64]:
    """Every value of ``parts`` that is not NaN, ascending; ``most``: how many there can be.

    Beyond 2²² they lie in a file without a name, which the system pages in and out.
    """
    values, n = scratch(most), 0
    for part in parts:
        known = part[~np.isnan(part)]
        values[n : n + len(known)] = known
        n += len(known)
    found = values[:n]
    found.sort()
    return found


def scratch(n: int) -> NDArray[np.float64]:
    """n fp64 numbers to write to."""
    if n <= IN_MEMORY:
        return np.empty(n)
    with TemporaryFile() as file:  # the map keeps it
        found: NDArray[np.float64] = np.memmap(file, np.float64, "w+", shape=(n,))
    return found
