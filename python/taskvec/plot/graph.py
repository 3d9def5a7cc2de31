"""The inclusion graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..queries.inclusion import Edge, inclusion, levels
from ..queries.matrices import matrices
from .axes import COLUMN, SMALL, new_axes, shown_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

SWEEPS = 8  # over the levels, to bring neighbours together


def inclusion_graph(
    dataset: xr.Dataset, captured: float, axes: Axes | None = None, *, q: float = 1.0, fold: bool = True
) -> Axes:
    """Arrows from what holds at least ``captured`` to what is held, which stands below; width by the share.

    Args:
        dataset: a result for one λ.
        captured: the share that counts.
        axes: drawn into; new ones of a column's width without.
        q: edges of more are left out.
        fold: leave out an edge that a longer way of stronger edges says already.

    Raises:
        TaskvecError: no matplotlib.
    """
    square = matrices(dataset)
    edges = inclusion(square, captured, q, fold=fold)
    places = placed(edges, levels(edges))
    axes = new_axes(axes, max(1.5, 0.55 * (1 + max((-y for _, y in places.values()), default=0))), COLUMN)
    axes.set_axis_off()
    most = max((edge.captured for edge in edges), default=1.0)
    for edge in edges:
        style = {"arrowstyle": "<->" if edge.both else "->", "lw": 0.5 + 2 * edge.captured / most, "color": "0.35"}
        style |= {"shrinkA": 9, "shrinkB": 9, "connectionstyle": "arc3,rad=0.08"}
        axes.annotate("", places[edge.target], places[edge.source], arrowprops=style)
    box = {"boxstyle": "round,pad=0.3", "fc": "white", "ec": "black", "lw": 0.7}
    for node, (x, y) in places.items():
        axes.text(x, y, shown_name(square.names[node], 18), ha="center", va="center", fontsize=SMALL, bbox=box)
    if not places:
        axes.text(0, 0, "no pair passes", ha="center", fontsize=SMALL)
    across, down = np.array([*places.values()] or [(0.0, 0.0)]).T
    axes.set_xlim(across.min() - 0.6, across.max() + 0.6)
    axes.set_ylim(down.min() - 0.5, down.max() + 0.5)
    return axes


def placed(edges: Sequence[Edge], level: Mapping[int, int]) -> dict[int, tuple[float, float]]:
    """x and y of each adapter: its level below 0, and beside those to which it has edges."""
    rows: dict[int, list[int]] = {}
    for node, of in level.items():
        rows.setdefault(of, []).append(node)
    x = {node: at - (len(row) - 1) / 2 for row in rows.values() for at, node in enumerate(row)}
    near: dict[int, list[int]] = {node: [] for node in level}
    for edge in edges:
        near[edge.source].append(edge.target)
        near[edge.target].append(edge.source)
    for _ in range(SWEEPS):
        for row in rows.values():
            row.sort(key=lambda node: sum(x[one] for one in near[node]) / max(len(near[node]), 1))
            for at, node in enumerate(row):
                x[node] = at - (len(row) - 1) / 2
    return {node: (x[node], -float(of)) for node, of in level.items()}
