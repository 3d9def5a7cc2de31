"""One ordered pair along the layers of the model, by kind of module."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..chance.layers import OtherLayers
from ..chance.means import nan_mean
from ..errors import TaskvecError
from .details import Baseline
from .kept import kept

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KindCurve:
    """Modules of one kind: n layers.

    Attributes:
        kind: of the modules.
        layers: (n,) ascending.
        values: (n,) of the metric, the mean where a layer has several such modules.
        chance: (n,) mean of REC by chance; NaN for other metrics.
        chance_sd: (n,)
    """

    kind: str
    layers: NDArray[np.int64]
    values: Floats
    chance: Floats
    chance_sd: Floats


@dataclass(frozen=True)
class PairCurves:
    """τ₁→τ₂ along the layers, and the same with the layers shifted, over all modules (NaN when it was not computed)."""

    source: str
    target: str
    metric: str
    kinds: tuple[KindCurve, ...]
    other_layers: OtherLayers | None


def pair_curves(dataset: xr.Dataset, source: str, target: str, metric: str = "captured") -> PairCurves:
    """Of a stored result.

    Args:
        dataset: for one λ.
        source: name of an adapter.
        target: of another.
        metric: of a pair, that the sweep has.

    Raises:
        TaskvecError: no such adapter or metric, or a result that keeps its modules together.
    """
    pairs = kept(dataset)
    i, j = (position(dataset, name) for name in (source, target))
    if not pairs.every_module:
        raise TaskvecError("the result does not keep its modules", fix="sweep with --keep all")
    values = {name: value[:, 0] for name, value in pairs.by_module(np.array([i]), np.array([j])).items()}
    if metric not in values:
        raise TaskvecError(f"the result has no {metric!r}", expected=", ".join(sorted(values)))
    missing = np.full(len(values[metric]), np.nan)
    chance = [values.get(name, missing) if metric == "rec" else missing for name in ("rec_chance", "rec_chance_sd")]
    layer, kind = dataset["layer"].values, dataset["kind"].values
    curves = []
    for one in dict.fromkeys(kind.tolist()):
        some = (kind == one) & (layer >= 0) & ~np.isnan(values["rec"])
        layers = np.unique(layer[some])
        means = [[nan_mean(of[some & (layer == at)])[0] for at in layers] for of in (values[metric], *chance)]
        if len(layers):
            curves.append(KindCurve(one, layers.astype(np.int64), *np.array(means, np.float64)))
    return PairCurves(source, target, metric, tuple(curves), Baseline(dataset).of(i, j).get(metric))


def position(dataset: xr.Dataset, name: str) -> int:
    """Of an adapter; TaskvecError for one that the result does not have."""
    names = dataset["source"].values.tolist()
    if name not in names:
        some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise TaskvecError("the result has no such adapter", got=repr(name), expected=some)
    return int(names.index(name))
