"""Memory that is used again: fresh pages of a system take as long as what is read or computed into them."""

from __future__ import annotations

import weakref
from math import prod

import numpy as np
from numpy.typing import NDArray

MOST_OVER = 2  # times what is asked for that a memory may have

Numbers = NDArray[np.float32]


class Pool:
    """fp32 arrays whose memory comes back when they, and all that is a view of them, are gone.

    What is free and fits nothing that is asked for is given up, so a pool holds little more than what was in use at
    once. Threads may share it.
    """

    def __init__(self) -> None:
        self._free: list[Numbers] = []

    def empty(self, size: tuple[int, ...]) -> Numbers:
        """An array with anything in it."""
        numbers = prod(size)
        whole = self._taken(numbers)
        # over a memoryview it is the base of its views, and goes after the last of them
        made = np.frombuffer(whole.data, np.float32, numbers)
        weakref.finalize(made, self._free.append, whole).atexit = False
        return made.reshape(size)

    def _taken(self, numbers: int) -> Numbers:
        found: list[Numbers] = []
        while self._free:
            found.append(self._free.pop())
            if numbers <= len(found[-1]) <= MOST_OVER * numbers:
                fitting = found.pop()
                self._free.extend(found)
                return fitting
        found.clear()
        return np.empty(numbers, np.float32)
