"""The matrix of all pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import TaskvecError
from ..queries.clustering import tree
from ..queries.matrices import matrices
from .axes import COLUMN, SMALL, new_axes, shown_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

METRICS = {
    "captured": "captured",
    "rec": "REC",
    "above_chance": "REC − chance",
    "cosine": "cosine",
    "asymmetry": "asymmetry",
}
SIGNED = ("above_chance", "cosine", "asymmetry")
NAMED = 60  # adapters up to which their names are written


def heatmap(
    dataset: xr.Dataset, axes: Axes | None = None, *, metric: str = "captured", threshold: float | None = None
) -> Axes:
    """A metric of every pair, source rows × target columns, in the order of average linkage of 1 − captured.

    Args:
        dataset: a result for one λ.
        axes: drawn into; new ones of a column's width without.
        metric: captured, rec, above_chance (REC − chance), cosine, or asymmetry (captured less that of the other way).
        threshold: pairs whose captured is below are hatched.

    Raises:
        TaskvecError: no such metric, or no matplotlib.
    """
    if metric not in METRICS:
        raise TaskvecError(f"no metric {metric!r}", expected=", ".join(METRICS))
    square = matrices(dataset)
    captured = square.values["captured"]
    values = captured - captured.T if metric == "asymmetry" else square.values[metric]
    order = tree(captured).order
    values, captured = values[np.ix_(order, order)], captured[np.ix_(order, order)]
    axes = new_axes(axes, 0.85 * COLUMN)
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    from matplotlib.colors import Normalize, PowerNorm

    # shares by their root: small ones differ to the eye too
    norm = Normalize(-most, most) if metric in SIGNED else PowerNorm(0.5, 0.0, most)
    image = axes.imshow(values, interpolation="none", cmap="PuOr_r" if metric in SIGNED else "cividis", norm=norm)
    if threshold is not None:
        masked: Any = np.ma  # has no types
        below = masked.masked_where(~(captured < threshold), captured)
        edges = np.arange(len(below) + 1) - 0.5
        hatched = axes.pcolor(edges, edges, below, hatch="/////")
        hatched.set(facecolor="none", edgecolor="white", linewidth=0)
    if len(order) <= NAMED:
        names = [shown_name(square.names[i]) for i in order]
        size = min(SMALL, 150 / len(order))
        axes.set_xticks(range(len(order)), names, rotation=90, fontsize=size)
        axes.set_yticks(range(len(order)), names, fontsize=size)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.set_xlabel("target", fontsize=SMALL + 1)
    axes.set_ylabel("source", fontsize=SMALL + 1)
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label(METRICS[metric], fontsize=SMALL + 1)
    bar.ax.tick_params(labelsize=SMALL)
    return axes
