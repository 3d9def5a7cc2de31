"""Times of two versions, taken in turn, to a ratio that outlasts the machine's drift."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .rows import quantile

MARGIN = 0.03  # below, the placement of code and data in memory decides


@dataclass(frozen=True)
class Ratio:
    """Today's time over the other's: the median of the rounds, and their 20 and 80 % quantiles."""

    median: float
    q20: float
    q80: float
    rounds: int

    @property
    def verdict(self) -> Literal["faster", "same", "slower"]:
        """What may be said of today: that it differs only if 80 % of the rounds do so by more than ``MARGIN``.

        That is a sign test: were neither the faster, 24 of 30 rounds would be on one side once in 1,400 cases, 15 of
        18 once in 265, and not all of them beyond the margin.
        """
        if self.q20 > 1 + MARGIN:
            return "slower"
        return "faster" if self.q80 < 1 - MARGIN else "same"


def paired(today: Sequence[float], other: Sequence[float]) -> Ratio:
    """The ratio of times (rounds,) and (rounds,), where the two of a round were taken one after the other.

    Whatever slows a round slows both, and is not in its ratio. Raises ValueError where the numbers of rounds differ.
    """
    ratios = sorted(a / b for a, b in zip(today, other, strict=True))
    return Ratio(statistics.median(ratios), quantile(ratios, 0.2), quantile(ratios, 0.8), len(ratios))


def geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))
