"""What chance gives: the REC of random directions, its spread, and means over modules that skip NaN.

If the directions of the source had nothing to do with the target, d would be r independent draws of one Gaussian.
Half of them survive the clipping and, normalised, overlap S₁ by a third to a half: REC is read against that value.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 4096
SEED = 20250  # with r, the whole state of the generator: PCG64(SeedSequence([SEED, r]))
SPECTRA_A_STEP = 16  # a [SPECTRA_A_STEP, DRAWS] fp32 block stays in the L2 cache

Floats = NDArray[np.floating]


def rec_chance(s1: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of REC when d is r draws of N(0, 1), for every spectrum of a batch.

    The draws are the same on every machine and for every spectrum with as many non-zero components r. A draw that is
    clipped to nothing counts as REC 0. A zero spectrum gives 0 and 0, one with a NaN gives NaN and NaN.

    Args:
        s1: (..., k) non-negative singular values; zeros are padding.

    Returns:
        Mean and standard deviation, (...) fp64, good to 1e-6 for these draws.

    Cost:
        4,096 · r steps a spectrum (about 40 µs at r = 8), a few MiB of memory.
    """
    spectra = -np.sort(-np.asarray(s1, dtype=np.float64), axis=-1)  # descending: padding last, NaN last
    batch, k = spectra.shape[:-1], spectra.shape[-1]
    spectra = spectra.reshape(-1, k)
    ranks = (spectra > 0).sum(-1)
    mean, sd = np.zeros(len(spectra)), np.zeros(len(spectra))
    for r in np.unique(ranks[ranks > 0]):
        draws = normalised_draws(int(r))
        rows = np.flatnonzero(ranks == r)
        for start in range(0, len(rows), SPECTRA_A_STEP):
            some = rows[start : start + SPECTRA_A_STEP]
            shares = spectra[some, :r] / spectra[some, :r].sum(-1, keepdims=True)
            mean[some], sd[some] = overlap_moments(shares.astype(np.float32), draws)
    unknown = np.isnan(spectra).any(-1)
    mean[unknown] = sd[unknown] = np.nan
    return mean.reshape(batch), sd.reshape(batch)


@lru_cache(maxsize=32)
def normalised_draws(r: int) -> NDArray[np.float32]:
    """max(0, z) / Σ max(0, z) for 4,096 draws z of N(0, 1)ʳ, as (r, 4096) fp32; zeros where every z is negative."""
    z = np.random.Generator(np.random.PCG64([SEED, r])).standard_normal((DRAWS, r)).clip(min=0)
    total = z.sum(-1, keepdims=True)
    return np.ascontiguousarray(np.divide(z, total, out=z, where=total > 0).T, dtype=np.float32)


def overlap_moments(shares: NDArray[np.float32], draws: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Mean and standard deviation over the draws of Σ_k min(shares_k, draws_k); shares (rows, r), draws (r, 4096)."""
    rec = np.zeros((len(shares), draws.shape[-1]), np.float32)
    smaller = np.empty_like(rec)
    for share, draw in zip(shares.T, draws, strict=True):
        np.minimum(share[:, None], draw, out=smaller)
        rec += smaller
    return rec.mean(-1), rec.std(-1)


class NanMean:
    """Running mean over modules that skips NaN and knows how many modules it used.

    ``add`` takes (modules, ...) blocks of equal trailing shape; ``value`` is NaN where nothing was counted.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.total = np.zeros(shape)
        self.used = np.zeros(shape, np.int64)

    def add(self, block: Floats) -> None:
        self.total += np.nansum(block, axis=0, dtype=np.float64)
        self.used += (~np.isnan(block)).sum(axis=0)

    @property
    def value(self) -> NDArray[np.float64]:
        return np.divide(self.total, self.used, out=np.full_like(self.total, np.nan), where=self.used > 0)


class RecZ:
    """Running Σ(REC − chance) / √Σ sd² over modules, NaN where Σ sd² = 0; a module whose REC is NaN is skipped."""

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


def nan_mean(values: Floats) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean over the first axis without NaN, and the number of values it used."""
    values = np.asarray(values)
    mean = NanMean(values.shape[1:])
    mean.add(values)
    return mean.value, mean.used


def rec_z(rec: Floats, chance: Floats, sd: Floats) -> NDArray[np.float64]:
    """Σ(REC − chance) / √Σ sd² over the first axis, the modules; NaN when Σ sd² = 0.

    An approximation: d is Gaussian only for a target of many comparable directions, and one of effective rank near 1
    lowers the true chance value by up to 0.05. Over hundreds of modules |z| < 3 proves nothing.
    """
    rec = np.asarray(rec)
    z = RecZ(rec.shape[1:])
    z.add(rec, np.asarray(chance), np.asarray(sd))
    return z.value
