"""Memory that is used again: fresh pages take as long as what is computed into them."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor


class Room:
    """fp32 tensors of one batch after the other, in the same memory: those of the batch before are overwritten."""

    def __init__(self) -> None:
        self._whole = np.empty(0, np.float32)
        self._used = 0

    def clear(self, numbers: int) -> None:
        """Begin a batch that takes so many numbers."""
        if numbers > len(self._whole):
            self._whole = np.empty(0, np.float32)  # first that, or both are there
            self._whole = np.empty(numbers, np.float32)
        self._used = 0

    def zeros(self, size: tuple[int, ...]) -> Tensor:
        """Zeros, from what is left of the room."""
        first, self._used = self._used, self._used + prod(size)
        made = self._whole[first : self._used].reshape(size)
        made.fill(0)
        return torch.from_numpy(made)
