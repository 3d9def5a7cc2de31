"""From a sweep to one row a pair: means over modules, and how far REC is above chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from numpy.typing import NDArray

from ..chance import NanMean, RecZ
from ..errors import TaskvecError

COLUMNS = ("source", "target", "l1", "rec", "rec_chance", "rec_z", "excess", "cosine", "used")
MEANS = ("l1", "rec", "excess", "cosine")
BLOCK_BYTES = 16 * 2**20  # of one variable that are read at once


def ranking(dataset: xr.Dataset) -> pd.DataFrame:
    """Every ordered pair of different adapters, the most included first: by ``rec_z``, for λ > 0 by ``rec``; NaN last.

    Args:
        dataset: from ``sweep``, or ``xarray.open_zarr`` of its folder; must have ``rec``.

    Returns:
        Columns source, target, then l1, rec, rec_chance, excess and cosine as means over the modules that both have
        (NaN skipped, and all NaN for a metric that the sweep left out), rec_z, and used: the modules that rec counts.
        Of a sweep over several λ's one ranking after the other, with a column lam.

    Raises:
        TaskvecError: the dataset is no sweep, or it was made without "rec".

    Cost:
        One pass over the stored results in blocks of 16 MiB; (N, N) sums.
    """
    if missing := {"rec", "rec_chance", "rec_chance_sd", "norm"} - set(dataset.data_vars):
        raise TaskvecError(f"no ranking without {', '.join(sorted(missing))}", fix="sweep with the metric rec")
    if "lam" not in dataset.dims:
        return rank(dataset)
    return pd.concat([rank(dataset.isel(lam=i)).assign(lam=float(lam)) for i, lam in enumerate(dataset["lam"].values)])


def rank(dataset: xr.Dataset) -> pd.DataFrame:
    """``ranking`` for one λ."""
    names = dataset["source"].values
    N = len(names)
    means = {name: NanMean((N, N)) for name in (*MEANS, "rec_chance")}
    z = RecZ((N, N))
    for rows in blocks(dataset):
        part = dataset.isel(module=rows)
        rec = part["rec"].values  # [l, N, N]
        # the draws of a target that is zero are all clipped to nothing
        live = (part["norm"].values > 0)[:, None, :]
        chance = np.where(np.isnan(rec), np.nan, part["rec_chance"].values[:, :, None] * live)
        sd = part["rec_chance_sd"].values[:, :, None] * live
        z.add(rec, chance, sd)
        means["rec_chance"].add(chance)
        for name in MEANS:
            if name in dataset:
                means[name].add(rec if name == "rec" else part[name].values)
    source, target = np.nonzero(~np.eye(N, dtype=bool))
    columns: dict[str, NDArray[Any]] = {name: mean.value[source, target] for name, mean in means.items()}
    columns |= {"rec_z": z.value[source, target], "used": means["rec"].used[source, target]}
    columns |= {"source": names[source], "target": names[target]}
    by_chance = bool(np.isfinite(dataset["rec_chance"].values).any())
    order = np.argsort(-columns["rec_z" if by_chance else "rec"], kind="stable")  # NaN last
    return pd.DataFrame({name: columns[name][order] for name in COLUMNS})


def blocks(dataset: xr.Dataset) -> Iterator[slice]:
    """Slices along ``module`` that hold BLOCK_BYTES of a pair metric, at least one module."""
    modules, N, _ = dataset["rec"].shape
    step = max(1, BLOCK_BYTES // (4 * N * N))
    return (slice(start, start + step) for start in range(0, modules, step))
