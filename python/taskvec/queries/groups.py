"""Tasks that were trained several times: which adapters are repeats, and the direction between two tasks over runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..results.direction import Direction
from .direction import LEVEL, Interval, judge, side, student_quantile
from .labels import rows_of

COLUMNS = ("adapter", "group")


def read_groups(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The group of each adapter, from a CSV file with the columns adapter and group.

    Args:
        path: of the file; adapters that it does not name are in no group.
        names: of the adapters of the result.

    Raises:
        TaskvecError: no such file or columns, an adapter that is not in the result, or one that is named twice.
    """
    return {name: row["group"] for name, row in rows_of(path, names, COLUMNS)}


def runs_of(pair: tuple[str, str], groups: Mapping[str, str]) -> tuple[list[str], list[str]] | None:
    """The runs of the two tasks that a pair belongs to; None for one task, or when one has a single run."""
    tasks = [groups.get(name) for name in pair]
    source, target = ([name for name, group in groups.items() if group == task] for task in tasks)
    return (source, target) if tasks[0] != tasks[1] and len(source) > 1 and len(target) > 1 else None


def run_pairs(runs: Iterable[tuple[list[str], list[str]]]) -> list[tuple[str, str]]:
    """Every pair of runs of these tasks, in one direction."""
    both = dict.fromkeys((a, b) for sources, targets in runs for a in sources for b in targets)
    return [(a, b) for a, b in both if a < b or (b, a) not in both]


def direction_over_runs(pairs: Sequence[Sequence[Direction]]) -> Direction | None:
    """The verdict on two tasks from every pair of their runs, with an interval over runs.

    The log ratio of a pair depends on both its runs, so each run is one observation: the variance of the mean is that
    of the rows' means plus that of the columns', on Welch and Satterthwaite's degrees of freedom.

    Args:
        pairs: (runs of the source task) × (runs of the target task).

    Returns:
        None with fewer than two runs of a task, or when a pair cannot be compared.
    """
    if len(pairs) < 2 or len(pairs[0]) < 2 or any(one.verdict is None for row in pairs for one in row):
        return None
    flat = [one for row in pairs for one in row]
    ratio, interval = of_runs(np.array([[one.ratio for one in row] for row in pairs]))
    sign, ratio_cut = side(ratio, interval), None
    if any(one.ratio_cut is not None for one in flat):
        cut = [[one.ratio if one.ratio_cut is None else one.ratio_cut for one in row] for row in pairs]
        ratio_cut, interval_cut = of_runs(np.array(cut))
        sign = sign if side(ratio_cut, interval_cut) == sign else 0
    there, back = np.mean([one.captured for one in flat], axis=0).tolist()
    above = (sum(one.above[0] for one in flat) * 2 > len(flat), sum(one.above[1] for one in flat) * 2 > len(flat))
    verdict = judge(sign, interval, (there, back), above)
    low, high = (math.exp(end) for end in (interval.low, interval.high))
    return Direction(verdict, ratio, low, high, len(flat), "runs", ratio_cut, (there, back), above)


def of_runs(ratios: NDArray[np.float64]) -> tuple[float, Interval]:
    """Geometric mean of the ratios (a, b) of every pair of a runs and b runs, and the interval of its logarithm."""
    interval = over_runs(np.log(ratios))
    return math.exp(interval.mean), interval


def over_runs(values: NDArray[np.float64]) -> Interval:
    """Mean of the values (a, b) of every pair of a runs and b runs, with its interval."""
    rows, columns = values.mean(1), values.mean(0)
    parts = np.array([rows.var(ddof=1) / len(rows), columns.var(ddof=1) / len(columns)])
    variance, mean = float(parts.sum()), float(values.mean())
    if not variance > 0:
        return Interval(mean, mean - variance, mean + variance)  # NaN stays NaN
    freedom = variance**2 / float((parts**2 / [len(rows) - 1, len(columns) - 1]).sum())
    freedom = min(freedom, 2 * min(len(rows), len(columns)) - 2)  # of two runs, luck alone makes a variance small
    half = student_quantile(freedom, (1 + LEVEL) / 2) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half)
