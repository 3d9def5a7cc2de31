"""How time grows: against N, r, m and the number of threads, with the slope in logarithms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .case import Case
from .registry import CASES
from .results import OURS, TORCH, Ways, by_case, group, others
from .rows import Row

AXES = ("N", "r", "m", "threads")
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curve:
    """Seconds a module against one axis: of ours, and of the fastest torch provider of each case."""

    axis: str
    label: str
    ours: Points
    torch: Points


def slope(points: Points) -> float | None:
    """The exponent p of time ~ x^p by least squares in logarithms; None for fewer than two points."""
    if len({x for x, _ in points}) < 2:
        return None
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def signed(value: float | None) -> str:
    """Two decimals with a minus sign; a dash for None."""
    return "—" if value is None else f"{value:.2f}".replace("-", "−")


def upper(points: Points) -> Points:
    """The larger half of the points, and the one in the middle."""
    return points[len(points) // 2 :]


def curves(rows: Iterable[Row], registry: Mapping[str, Case] = CASES) -> list[Curve]:
    """Curves of two points or more, by axis. Rows of cases that are not in the registry are points of none."""
    families: dict[tuple[str, str], list[tuple[float, Ways]]] = {}
    for name, ways in by_case(rows).items():
        if name in registry and OURS in ways:
            row = ways[OURS]
            for axis, label in places(registry[name], row):
                families.setdefault((axis, label), []).append((float(getattr(row, axis)), ways))
    ordered = sorted(families.items(), key=lambda item: AXES.index(item[0][0]))
    found = [curve(axis, label, members) for (axis, label), members in ordered]
    return [one for one in found if slope(one.ours) is not None]


def places(case: Case, row: Row) -> list[tuple[str, str]]:
    """(axis, label) of each curve that a case is a point of: the label says what its points have in common."""
    shape = [f"{key} = {getattr(row, key):,}" for key in ("N", "r") if getattr(row, key)]
    model = f"{row.model} {row.m} × {row.n}" if row.m else ""
    if row.model.startswith("square"):
        model = f"{row.m} × {row.n}"
    labels = {"N": [model, *shape[1:]], "r": [model, *shape[:1]], "m": shape}
    found = [(axis, labels[axis]) for axis in case.curves if axis in labels] if case.threads is None else []
    # a pair of cases, with and without a number of threads, is a curve; alone it is a point and left out
    found.append(("threads", [f"{row.modules} modules" if (row.modules or 1) > 1 else "", model, *shape]))
    return [(axis, f"{group(row)} {', '.join(filter(None, words))}") for axis, words in found]


def curve(axis: str, label: str, members: list[tuple[float, Ways]]) -> Curve:
    members = sorted(members, key=lambda member: member[0])
    best = [(x, others(ways, TORCH)) for x, ways in members]
    return Curve(
        axis,
        label,
        tuple((x, a_module(ways[OURS])) for x, ways in members),
        tuple((x, a_module(rows[0])) for x, rows in best if rows),
    )


def a_module(row: Row) -> float:
    return row.min / (row.modules or 1)
