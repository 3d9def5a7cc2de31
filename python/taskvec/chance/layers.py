"""The layer baseline: what a pair has in common where it cannot have learnt it together, one layer against another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .means import Floats

FEWEST = 5  # other layers that a t needs


class OtherLayers(NamedTuple):
    """A value against its n values with the layers shifted; arrays of one shape.

    Attributes:
        mean: of the n values, NaN without one.
        sd: of the n values, NaN with fewer than two.
        t: on n − 1 degrees of freedom; NaN with fewer than five.
        n: values that were there.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    t: NDArray[np.float64]
    n: NDArray[np.int64]


def other_layers(value: Floats | float, others: Floats, *, logarithm: bool = True) -> OtherLayers:
    """Mean and deviation of ``others``, and the t of one more draw: (x − mean) / (sd · √(1 + 1/n)).

    Args:
        value: (...) of the pair.
        others: (..., n) with its layers shifted; NaN is none.
        logarithm: t of the logarithms: for shares, whose tail is heavy. A share of 0 has no t.
    """
    value, others = np.asarray(value, dtype=np.float64), np.asarray(others, dtype=np.float64)
    mean, sd, n = moments(others)
    centre, spread = mean, sd
    with np.errstate(divide="ignore", invalid="ignore"):
        if logarithm:
            value = np.log(value)
            centre, spread, _ = moments(np.log(others))
        t = (value - centre) / (spread * np.sqrt(1 + 1 / n))
    return OtherLayers(mean, sd, np.where((n >= FEWEST) & (spread > 0) & np.isfinite(t), t, np.nan), n)


def moments(values: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean, standard deviation (n − 1) and n over the last axis without NaN; −∞ gives NaN in the deviation."""
    n = (~np.isnan(values)).sum(-1)
    with np.errstate(invalid="ignore"):
        mean = np.where(n > 0, np.nansum(values, -1) / np.maximum(n, 1), np.nan)
        squares = np.nansum(np.square(values - mean[..., None]), -1)
        sd = np.where((n > 1) & np.isfinite(mean), np.sqrt(squares / np.maximum(n - 1, 1)), np.nan)
    return mean, sd, n
