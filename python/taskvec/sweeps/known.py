"""Which pairs of a unit an older computation has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Known:
    """Which adapters of a unit are as they were when it was last computed: of two such ones, the pair is known.

    ``lost``: their values are not on the disk any more. Those pairs are computed in blocks of their own, as they were.
    """

    sources: NDArray[np.bool_]
    targets: NDArray[np.bool_]
    lost: bool = False

    def pairs(self, back: bool) -> NDArray[np.bool_]:
        """By source and target; ``back``: of targets as sources."""
        rows, columns = (self.targets, self.sources) if back else (self.sources, self.targets)
        return rows[:, None] & columns
