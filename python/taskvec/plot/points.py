"""Adapters as points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..queries.mapping import classical_map
from ..queries.matrices import matrices
from .axes import COLOURS, MARKERS, SMALL, new_axes, shown_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

NAMED = 30  # adapters up to which their names are written


def adapter_map(dataset: xr.Dataset, axes: Axes | None = None, *, labels: Mapping[str, str] | None = None) -> Axes:
    """Classical MDS of 1 − cosine: near points are updates of one direction.

    Args:
        dataset: a result for one λ.
        axes: drawn into; new ones of a column's width without.
        labels: of adapters, by name; they choose colour and shape.

    Raises:
        TaskvecError: no matplotlib.
    """
    square = matrices(dataset)
    plane = classical_map(square.values["cosine"])
    axes = new_axes(axes, 2.6)
    of = [(labels or {}).get(name, "") for name in square.names]
    for k, label in enumerate(dict.fromkeys(sorted(of))):
        some = [i for i, one in enumerate(of) if one == label]
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[(k + k // len(COLOURS)) % len(MARKERS)]
        x, y = plane.points[some].T
        axes.scatter(x, y, s=18, color=colour, marker=marker, linewidths=0, label=shown_name(label or "no label"))
    if len(square.names) <= NAMED:
        for i, name in enumerate(square.names):
            above = (3, 3 if i % 2 else -8)  # neighbours in the list are often neighbours on the map
            axes.annotate(shown_name(name, 16), plane.points[i], above, textcoords="offset points", fontsize=SMALL - 2)
    axes.set_aspect("equal", "datalim")
    shares = plane.explained or (float("nan"),) * 2
    axes.set_xlabel(f"first axis, {shares[0]:.0%} of the variance", fontsize=SMALL)
    axes.set_ylabel(f"second axis, {shares[1]:.0%}", fontsize=SMALL)
    axes.margins(0.15)
    if labels:
        axes.legend(fontsize=SMALL - 1, frameon=False)
    return axes
