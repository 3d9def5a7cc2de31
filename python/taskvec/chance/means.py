"""Over modules: means that skip NaN, and shares of the whole update."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


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


class GeometricMean:
    """Running geometric mean of numbers ≥ 0, NaN skipped; one zero makes it zero."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.logs = NanMean(shape)

    def add(self, block: Floats) -> None:
        with np.errstate(divide="ignore"):
            self.logs.add(np.log(block, dtype=np.float64))

    @property
    def value(self) -> NDArray[np.float64]:
        return np.exp(self.logs.value)


class PooledShare:
    """Running Σ share · ‖τ‖² / Σ‖τ‖²: the share of the whole update; NaN where Σ‖τ‖² is 0."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.held = np.zeros(shape)
        self.whole = np.zeros(shape)

    def add(self, share: Floats, square: Floats) -> None:
        """Blocks (modules, ...); ``square`` is ‖τ‖² in fp64, 0 where one of the two has no such module.

        A share of NaN counts as 0: a source without a direction holds nothing.
        """
        self.held += (np.nan_to_num(share) * square).sum(axis=0)
        self.whole += square.sum(axis=0)

    @property
    def value(self) -> NDArray[np.float64]:
        return np.divide(self.held, self.whole, out=np.full_like(self.held, np.nan), where=self.whole > 0)


def nan_mean(values: Floats) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean over the first axis without NaN, and the number of values it used."""
    values = np.asarray(values)
    mean = NanMean(values.shape[1:])
    mean.add(values)
    return mean.value, mean.used


def quartiles(values: Floats) -> NDArray[np.float64]:
    """The lower and the upper quartile over the first axis without NaN, (2, ...); NaN where there is nothing else."""
    values = np.asarray(values, np.float64)
    found = np.full((2, *values.shape[1:]), np.nan)
    some = ~np.isnan(values).all(axis=0)
    found[:, some] = np.nanquantile(values[:, some], (0.25, 0.75), axis=0)
    return found
