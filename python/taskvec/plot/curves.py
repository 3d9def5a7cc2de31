"""A pair along the layers of the model: the paper's figures 2 and 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..queries.curves import pair_curves
from .axes import COLOURS, SMALL, key_below, new_axes, shown_name, whole_numbers

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

TITLES = {
    "captured": "captured",
    "rec": "REC",
    "l1": "L₁",
    "l2": "L₂",
    "entropy_projected": "H(S₂)",
    "cosine": "cosine",
}


def layer_curves(
    dataset: xr.Dataset, source: str, target: str, axes: Axes | None = None, *, metric: str = "captured"
) -> Axes:
    """A metric of source → target by layer, a line a kind of module, with its chance and other layers.

    Args:
        dataset: a result for one λ that keeps its modules.
        source: name of an adapter.
        target: of another.
        axes: drawn into; new ones of a column's width without.
        metric: of a pair. Of REC the band is its chance, mean ± sd; of captured and REC the dashed line is that of
            other layers, where the sweep has a baseline for the pair.

    Raises:
        TaskvecError: no such adapter or metric, modules that are not kept, or no matplotlib.
    """
    curves = pair_curves(dataset, source, target, metric)
    axes = new_axes(axes, 2.2)
    for k, one in enumerate(curves.kinds):
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(one.layers, one.values, "o-", ms=2.5, lw=1.2, color=colour, label=shown_name(one.kind))
        if not np.isnan(one.chance).all():
            low, high = one.chance - one.chance_sd, one.chance + one.chance_sd
            axes.fill_between(
                one.layers, low, high, color=colour, alpha=0.15, lw=0, label="chance ± sd" if k == 0 else None
            )
    other = curves.other_layers
    if other is not None and not np.isnan(other.mean):
        axes.axhline(float(other.mean), color="0.4", ls="--", lw=1, label="other layers ± sd")
        if not np.isnan(other.sd):
            axes.axhspan(float(other.mean - other.sd), float(other.mean + other.sd), color="0.4", alpha=0.15, lw=0)
    axes.set_xlabel("layer", fontsize=SMALL + 1)
    axes.set_ylabel(TITLES.get(metric, metric), fontsize=SMALL + 1)
    axes.set_title(f"{shown_name(source)} → {shown_name(target)}", fontsize=SMALL + 1)
    whole_numbers(axes)
    axes.grid(alpha=0.3, lw=0.5)
    key_below(axes)
    return axes
