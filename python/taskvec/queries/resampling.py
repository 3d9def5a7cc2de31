"""Statistics of pairs with weights, and their intervals when the seeds are drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
SEED = 20250  # the same interval for the same numbers
LEVEL = 0.95

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Draws:
    """S seeds drawn S times with replacement, DRAWS times; equal draws are kept once.

    Attributes:
        seeds: (N,) of each adapter.
        times: (D, S) how often each seed is in a draw.
        counts: (D,) how often the draw came.
    """

    seeds: Positions
    times: Floats
    counts: Positions

    @classmethod
    def of(cls, seeds: Positions) -> Draws | None:
        """None for fewer than two seeds: there is nothing to draw."""
        S = int(seeds.max(initial=-1)) + 1
        if S < 2:
            return None
        random = np.random.Generator(np.random.PCG64(SEED))
        times, counts = np.unique(random.multinomial(S, np.full(S, 1 / S), DRAWS), axis=0, return_counts=True)
        return cls(seeds, times.astype(np.float64), counts)

    def weights(self, source: Positions, target: Positions) -> Iterator[Floats]:
        """Of P pairs in each draw: a pair counts as often as its seeds are drawn, one seed for both once."""
        one, two = self.seeds[source], self.seeds[target]
        for times in self.times:
            yield times[one] * np.where(one == two, 1.0, times[two])

    def interval(self, values: Floats) -> tuple[float, float]:
        """Percentiles of a statistic (D,); draws where it is undefined do not count."""
        known = ~np.isnan(values)
        if not known.any():
            return np.nan, np.nan
        every = np.repeat(values[known], self.counts[known])
        low, high = np.quantile(every, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)


def with_interval(
    statistic: Callable[..., float], draws: Draws | None, *pairs: tuple[Positions, Positions]
) -> tuple[float, float, float]:
    """A statistic of the weights of one or more sets of pairs, and its interval over seeds; NaN without draws."""
    value = statistic(*(np.ones(len(source)) for source, _ in pairs))
    if draws is None:
        return value, np.nan, np.nan
    each = zip(*(draws.weights(*ends) for ends in pairs), strict=True)
    return value, *draws.interval(np.array([statistic(*weights) for weights in each]))


def share(values: Floats) -> Callable[[Floats], float]:
    """The weighted mean of ``values`` (P,), NaN left out."""
    known = ~np.isnan(values)
    of = values[known]

    def mean(weights: Floats) -> float:
        mass = weights[known]
        return float(mass @ of / mass.sum()) if mass.sum() > 0 else np.nan

    return mean


def auc(positive: Floats, negative: Floats) -> Callable[[Floats, Floats], float]:
    """P(positive > negative) + ½ P(equal), NaN left out: the area under the ROC curve (Mann and Whitney)."""
    is_positive, is_negative = ~np.isnan(positive), ~np.isnan(negative)
    split = int(is_positive.sum())
    every, place = np.unique(np.concatenate([positive[is_positive], negative[is_negative]]), return_inverse=True)

    def area(weights: Floats, of_negative: Floats) -> float:
        one, two = weights[is_positive], of_negative[is_negative]
        if not (one.sum() > 0 and two.sum() > 0):
            return np.nan
        mass = np.bincount(place[split:], two, len(every))
        below = np.cumsum(mass) - mass / 2
        return float(one @ below[place[:split]] / (one.sum() * two.sum()))

    return area


def spearman(one: Floats, two: Floats) -> Callable[[Floats], float]:
    """Correlation of ranks, those of equal values the mean of theirs; NaN left out."""
    known = ~np.isnan(one) & ~np.isnan(two)
    places = [np.unique(values[known], return_inverse=True)[1] for values in (one, two)]

    def correlation(weights: Floats) -> float:
        mass = weights[known]
        if not mass.sum() > 0:
            return np.nan
        ranks = []
        for place in places:
            of_value = np.bincount(place, mass)
            middle = (np.cumsum(of_value) - of_value / 2)[place]
            ranks.append(middle - mass @ middle / mass.sum())
        spread = np.sqrt((mass @ ranks[0] ** 2) * (mass @ ranks[1] ** 2))
        return float(mass @ (ranks[0] * ranks[1]) / spread) if spread > 1e-9 else np.nan

    return correlation
