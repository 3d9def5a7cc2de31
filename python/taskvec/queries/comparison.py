"""``taskvec test``: does A hold B more than C? Paired by module, with an interval over layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from ..errors import TaskvecError
from ..paths import layer_of
from ..results.comparison import Comparison, Difference, PValues
from .direction import LEVEL, number_layers

NEARER: dict[str, Literal["greater", "less"]] = {"rec": "greater", "l1": "less", "captured": "greater"}
DRAWS = 9999
SEED = 20250  # the same interval for the same numbers

Floats = NDArray[np.floating]
Values = Sequence[float] | Floats


def compare(dataset: xr.Dataset, source: str, first: str, second: str) -> Comparison:
    """Whether ``source`` holds ``first`` more than ``second``, by REC, L₁ and captured.

    The tests take modules as independent, as the paper's do; those of a layer are not, so the interval resamples
    layers. Both speak of these runs: another seed of one task alone moves its mean REC by up to 0.19.

    Args:
        dataset: a result of ``sweep`` for one λ, with the three adapters and the three metrics.
        source: name of an adapter.
        first: another.
        second: a third.

    Raises:
        TaskvecError: the three have no module in common.
    """
    of_three = dataset.sel(source=source, target=[first, second])
    rec = of_three["rec"].values  # [L, 2]
    shared = np.flatnonzero(~np.isnan(rec).any(-1))
    if not len(shared):
        raise TaskvecError(f"{source}, {first} and {second} have no module in common: there is nothing to compare")
    layers = [layer_of(path) for path in dataset["module"].values[shared]]
    values = {metric: of_three[metric].values[shared].T for metric in NEARER}
    differences = tuple(difference(metric, layers, *values[metric]) for metric in NEARER)
    return Comparison(source, first, second, len(shared), len(set(layers)), differences)


def difference(metric: str, layers: Sequence[Hashable], first: Values, second: Values) -> Difference:
    """One metric. Values are NaN when it is defined for no module, p-values also when no module differs."""
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    known = ~np.isnan(one) & ~np.isnan(two)
    one, two, layer = one[known], two[known], number_layers(layers)[known]
    apart, nearer = one - two, NEARER[metric]
    if len(apart):
        means = float(one.mean()), float(two.mean()), float(apart.mean())
    else:
        means = math.nan, math.nan, math.nan
    low, high = bootstrap_interval(apart, layer)
    tests = ((stats.wilcoxon, apart), (stats.ttest_rel, one, two), (stats.ttest_ind, one, two))
    if len(apart) > 1 and apart.any():
        found = [p_values(nearer, *test) for test in tests]
    else:
        found = [PValues(math.nan, math.nan)] * len(tests)
    return Difference(metric, nearer, *means, low, high, *found)


def p_values(nearer: str, test: Callable[..., Any], *samples: Floats) -> PValues:
    """Of a test of scipy's."""
    two_sided, one_sided = (float(test(*samples, alternative=which).pvalue) for which in ("two-sided", nearer))
    return PValues(two_sided, one_sided)


def bootstrap_interval(values: Floats, layer: NDArray[np.intp]) -> tuple[float, float]:
    """Of the mean of ``values`` (n,), layers resampled whole; NaN with fewer than two.

    Studentised: each resample's mean is taken in its own standard errors. The percentiles of the means themselves are
    too narrow for the 6 to 32 layers of a model.
    """
    sums, sizes = (np.bincount(layer, x).astype(np.float64) for x in (values, np.ones(len(layer))))
    sums, sizes = sums[sizes > 0], sizes[sizes > 0]
    if len(sizes) < 2:
        return math.nan, math.nan
    G = len(sizes)
    generator = np.random.Generator(np.random.PCG64(SEED))
    draws = generator.multinomial(G, np.full(G, 1 / G), DRAWS).astype(np.float64)  # [DRAWS, G]
    mean, error = mean_and_error(np.ones((1, G)), sums, sizes)
    means, errors = mean_and_error(draws, sums, sizes)
    t = (means - mean)[errors > 0] / errors[errors > 0]
    if not len(t):
        return float(mean[0]), float(mean[0])
    high, low = np.quantile(t, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(mean[0] - low * error[0]), float(mean[0] - high * error[0])


def mean_and_error(times: Floats, sums: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Mean and its standard error when each layer (G,) is taken ``times`` (draws, G)."""
    G, total = len(sizes), times @ sizes
    mean = times @ sums / total
    squares = np.square(sums - mean[:, None] * sizes)  # [draws, G]
    error = np.sqrt((times * squares).sum(-1) * G / (G - 1)) / total
    return mean, error
