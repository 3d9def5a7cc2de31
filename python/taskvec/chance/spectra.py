"""How many directions a spectrum has in effect."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .means import Floats


def participation(spectrum: Floats) -> NDArray[np.float64]:
    """(ΣS²)² / ΣS⁴ over the last axis: k for k equal singular values, 1 for one alone; NaN for a zero spectrum."""
    squares = np.square(np.asarray(spectrum, np.float64))
    largest = squares.max(-1, initial=0.0)
    shares = squares / np.where(largest > 0, largest, np.nan)[..., None]  # no under- or overflow
    ratio: NDArray[np.float64] = np.square(shares.sum(-1)) / np.square(shares).sum(-1)
    return ratio
