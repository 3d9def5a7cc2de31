"""Places that follow each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def consecutive(places: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """A slice where they follow each other: it copies once."""
    first, last = int(places[0]), int(places[-1])
    follow = last - first == len(places) - 1 and bool((np.diff(places) == 1).all())
    return slice(first, last + 1) if follow else places
