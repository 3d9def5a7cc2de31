"""How far REC lies above its chance value, and how sure that is over the pairs of a sweep."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from .means import Floats

NEGATIVE = 50  # pairs with a negative z that σ₀ needs
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


def sigma0(z: Floats) -> float:
    """σ₀ = max(1, √mean(z² | z < 0)): how much wider than N(0, 1) the z of unrelated pairs are.

    Relations make z positive, so the negative half is that of chance. NaN with fewer than 50 negative z's.
    """
    z = np.asarray(z)
    negative = z[z < 0]
    return max(1.0, float(np.sqrt(np.square(negative).mean()))) if negative.size >= NEGATIVE else math.nan


def p_values(z: Floats) -> NDArray[np.float64]:
    """One-sided p of z under N(0, 1); NaN stays NaN."""
    p: NDArray[np.float64] = ndtr(-np.asarray(z, np.float64))
    return p


def q_values(p: NDArray[np.float64], correction: Correction = "bh") -> NDArray[np.float64]:
    """Adjusted p of Benjamini and Hochberg (1995), or of Benjamini and Yekutieli (2001), for any dependence.

    NaN is no test and stays NaN.
    """
    q = np.full_like(p, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    n = len(known)
    if n:
        order = known[np.argsort(p[known])]
        harmonic = float((1 / np.arange(1, n + 1)).sum()) if correction == "by" else 1.0
        steps = p[order] * harmonic * n / np.arange(1, n + 1)
        q[order] = np.minimum(1.0, np.minimum.accumulate(steps[::-1])[::-1])
    return q
