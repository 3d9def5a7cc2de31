"""Metrics of pairs of tasks along the layers of a model: the paper's figures 2 and 3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..chance.means import nan_mean
from .direction import mean_interval
from .kept import kept
from .labels import Labels

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TaskCurve:
    """One projection in the modules of one kind, n layers.

    Attributes:
        family: of the model; empty without a label.
        model: likewise.
        projection: the two tasks, or the two adapters.
        kind: of the modules.
        layers: (n,) ascending.
        mean: (n,) over the pairs of runs.
        low: (n,) Student's 95 % over them; NaN for one pair.
        high: (n,)
    """

    family: str
    model: str
    projection: str
    kind: str
    layers: NDArray[np.int64]
    mean: Floats
    low: Floats
    high: Floats


def task_curves(
    dataset: xr.Dataset, source: NDArray[np.intp], target: NDArray[np.intp], labels: Labels, metric: str
) -> list[TaskCurve]:
    """Of ordered pairs of adapters of one model each, those of two tasks together; empty without modules.

    Args:
        dataset: for one λ.
        source: (P,) positions of adapters.
        target: (P,)
        labels: of tasks, models and families, as far as they are known.
        metric: of a pair.
    """
    pairs = kept(dataset)
    if not pairs.every_module:
        return []
    values = pairs.by_module(source, target).get(metric)
    if values is None:
        return []
    layer, kind = dataset["layer"].values, dataset["kind"].values
    found = []
    for (family, model, projection), some in projections(pairs.names, source, target, labels).items():
        for one in dict.fromkeys(kind[layer >= 0].tolist()):
            known = []
            for at in np.unique(layer[(kind == one) & (layer >= 0)]):
                of = nan_mean(values[(kind == one) & (layer == at)][:, some])[0]
                if len(of := of[~np.isnan(of)]):
                    known.append((at, of))
            if known:
                layers = np.array([at for at, _ in known], np.int64)
                mean = np.array([of.mean() for _, of in known])
                low, high = np.array([mean_interval(of, 2)[1:] for _, of in known]).T
                found.append(TaskCurve(family, model, projection, one, layers, mean, low, high))
    return found


def projections(
    names: NDArray[np.str_], source: NDArray[np.intp], target: NDArray[np.intp], labels: Labels
) -> dict[tuple[str, str, str], list[int]]:
    """Pairs by family, model and projection; those of two models are left out."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for p, (i, j) in enumerate(zip(source, target, strict=True)):
        one, two = str(names[i]), str(names[j])
        of = [(labels.of("family", name), labels.of("model", name)) for name in (one, two)]
        tasks = [labels.groups.get(name, name) for name in (one, two)]
        if of[0] == of[1] and tasks[0] != tasks[1]:
            found.setdefault((*of[0], f"{tasks[0]} → {tasks[1]}"), []).append(p)
    return found
