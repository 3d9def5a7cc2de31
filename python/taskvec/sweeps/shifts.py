"""Which module of a target meets which of a source when the layers are shifted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..chance.layers import FEWEST
from ..store.entry import Entry

MOST = 12  # shifts of a pair


def groups_of(entry: Entry, modules: Sequence[str]) -> list[tuple[str, ...]]:
    """``modules`` by kind and shape, in the order given: those that can change places."""
    alike: dict[tuple[str, tuple[int, int]], list[str]] = defaultdict(list)
    for path in modules:
        alike[entry.modules[path].kind, entry.modules[path].shape].append(path)
    return [tuple(paths) for paths in alike.values()]


def number_of_shifts(groups: Sequence[Sequence[str]]) -> int:
    """How often a pair is compared again: 12 times, or as often as every group that is large enough for a t can."""
    most = [len(paths) - 1 for paths in groups]
    return min([MOST, *(n for n in most if n >= FEWEST)]) if max(most, default=0) >= FEWEST else max(most, default=0)


def partners(size: int, shifts: int) -> NDArray[np.intp]:
    """Which module of a group each one meets, (shifts + 1, size): itself, then those of other layers.

    The shifts are spread over all there are; a group that is too small for as many goes round them again.
    """
    there = max(1, min(shifts, size - 1))
    steps = np.array([0, *(1 + (k % there) * (size - 1) // there for k in range(shifts))])
    found: NDArray[np.intp] = (np.arange(size) + steps[:, None]) % size
    return found
