"""A sweep's matrices module by module, between adapters or, of many, between clusters of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .clustering import Tree
from .kept import BLOCK_BYTES, kept

Floats = NDArray[np.float32]
BYTES = 3  # of a module and pair, in the report's file: one for each of three metrics


@dataclass(frozen=True)
class Slices:
    """Of L modules and C clusters in the order of the tree's leaves; a cluster may be one adapter.

    Attributes:
        ends: (C + 1,) where each cluster begins in the order of the leaves.
        values: by metric (L, C, C): means over the pairs of two clusters, NaN where there is none. ``captured``,
            ``above_chance`` (REC less its chance value) and ``cosine``, as far as the sweep has them.
        weight: (L, C) mean ‖τ‖² of the cluster's adapters, by which shares of several modules are pooled.
    """

    ends: NDArray[np.intp]
    values: dict[str, Floats]
    weight: Floats


def slices(dataset: xr.Dataset, tree: Tree, budget: int) -> Slices | None:
    """None for a result that does not keep its modules.

    Args:
        dataset: for one λ.
        tree: of its adapters.
        budget: bytes that the values may have; where the adapters are too many for it, clusters stand for them.

    Cost:
        One pass over three metrics, in blocks of 16 MiB.
    """
    if not kept(dataset).every_module:
        return None
    L, N = dataset.sizes["module"], len(tree.order)
    most = min(N, int((budget / (BYTES * max(L, 1))) ** 0.5))
    ends = np.arange(N + 1) if most >= N else tree.cut(max(most, 2))
    order, starts = tree.order, ends[:-1]
    parts: dict[str, list[Floats]] = {"captured": [], "above_chance": [], "cosine": []}
    weights = []
    off = ~np.eye(N, dtype=bool)
    step = max(1, BLOCK_BYTES // (4 * N * N))
    for start in range(0, L, step):
        part = dataset.isel(module=slice(start, start + step))
        arrays = {name: part[name].values for name in ("captured", "cosine") if name in part}
        if {"rec", "rec_chance"} <= set(part.data_vars):
            arrays["above_chance"] = part["rec"].values - part["rec_chance"].values
        for name, values in arrays.items():
            inside = values[:, order[:, None], order]  # [l, N, N]
            parts[name].append(between(np.where(off, inside, np.nan), starts))
        square = np.square(part["norm"].values[:, order], dtype=np.float64)
        weights.append(average(square, starts))
    found = {name: np.concatenate(some) for name, some in parts.items() if some}
    return Slices(ends, found, np.nan_to_num(np.concatenate(weights)))


def between(values: Floats, starts: NDArray[np.intp]) -> Floats:
    """Means over the pairs of two clusters, (l, N, N) → (l, C, C); NaN is no pair."""
    if len(starts) == values.shape[-1]:
        return values
    there = ~np.isnan(values)
    sums, counts = (
        np.add.reduceat(np.add.reduceat(x, starts, axis=1), starts, axis=2)
        for x in (np.nan_to_num(values), there.astype(np.float32))
    )
    means: Floats = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return means


def average(values: NDArray[np.float64], starts: NDArray[np.intp]) -> Floats:
    """Means over the adapters of each cluster, (l, N) → (l, C)."""
    sums, counts = (np.add.reduceat(x, starts, axis=1) for x in (np.nan_to_num(values), ~np.isnan(values) * 1.0))
    mean: Floats = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0).astype(np.float32)
    return mean
