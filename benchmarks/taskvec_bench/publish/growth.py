"""How time grows: against N, r, m and the number of threads, with the slope in logarithms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..cases import CASES
from ..measure.rows import Row
from .ways import OURS, TORCH, Ways, by_case, group, others, shape

AXES = ("N", "r", "m", "threads")
Points = list[tuple[float, float]]


class Curve(NamedTuple):
    """Seconds a module against one axis: of ours, and of the fastest torch provider of each case."""

    axis: str
    label: str  # what its points have in common
    ours: Points
    torch: Points


def curves(rows: list[Row]) -> list[Curve]:
    """Curves of two points or more, by axis. Rows of cases that are not in the registry are points of none."""
    families: dict[tuple[str, str], list[Ways]] = {}
    for name, ways in by_case(rows).items():
        if name in CASES and OURS in ways:
            # a pair of cases, with and without a number of threads, is a curve; alone it is a point and left out
            for axis in ("threads", *(CASES[name].curves if not CASES[name].threads else ())):
                common = shape(ways[OURS], (axis,) if axis == "threads" else (axis, "modules", "threads"))
                families.setdefault((axis, f"{group(ways[OURS])} {common}"), []).append(ways)
    found = []
    for (axis, label), members in sorted(families.items(), key=lambda item: AXES.index(item[0][0])):
        members.sort(key=lambda ways: float(ways[OURS][axis]))
        best = [rest[0] for rest in (others(ways, TORCH) for ways in members) if rest]
        found.append(Curve(axis, label, points(axis, [ways[OURS] for ways in members]), points(axis, best)))
    return [curve for curve in found if slope(curve.ours) != "—"]


def points(axis: str, rows: list[Row]) -> Points:
    return [(row[axis], row["min"] / (row["modules"] or 1)) for row in rows]


def slope(points: Points) -> str:
    """The exponent p of time ~ x^p by least squares in logarithms; a dash for fewer than two places."""
    if len({x for x, _ in points}) < 2:
        return "—"
    x, y = np.log(np.array(points)).T
    return f"{np.polyfit(x, y, 1)[0]:.2f}".replace("-", "−")
