"""From a sweep to one row a pair: shares of the whole update, means over modules, and how far REC is above chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from numpy.typing import NDArray

from ..chance.means import GeometricMean, NanMean, PooledShare
from ..chance.significance import Correction, RecZ, p_values, q_values, sigma0
from ..errors import TaskvecError

SHARES = ("captured", "captured_out", "captured_in")
MEANS = ("rec", "rec_chance", "l1", "cosine")
COLUMNS = (
    "source", "target", *SHARES, "captured_back", "rec", "rec_chance", "rec_z_raw", "sigma0", "rec_z", "p", "q",
    "l1", "excess", "cosine", "used",
)  # fmt: skip
BLOCK_BYTES = 16 * 2**20  # of one variable that are read at once


def ranking(dataset: xr.Dataset, correction: Correction = "bh") -> pd.DataFrame:
    """Every ordered pair of different adapters, the one whose source holds most of its target first; NaN last.

    Args:
        dataset: from ``sweep``, or ``xarray.open_zarr`` of its folder; must have ``captured`` and ``rec``.
        correction: of q: "bh" (Benjamini and Hochberg), or "by" (Benjamini and Yekutieli), for any dependence.

    Returns:
        Over the modules that both have, NaN skipped, and NaN throughout for a metric that the sweep left out:

        - captured, captured_out, captured_in: Σ share · ‖τ₂‖² / Σ‖τ₂‖², the share of the whole update; captured_back:
          captured the other way;
        - rec, rec_chance, l1, cosine: means; excess: the geometric mean;
        - rec_z_raw: z_S = Σ(REC − chance) / √Σ sd²; sigma0: σ₀ of the sweep, from its negative z_S or, where they are
          fewer than 50, from those of its layer baseline; rec_z = z_S / σ₀, its one-sided p, and q over all pairs;
        - used: the modules that rec counts.

        Of a sweep over several λ's one ranking after the other, with a column lam.

    Raises:
        TaskvecError: the dataset is no sweep, or it was made without "captured" or "rec".

    Cost:
        One pass over the stored results in blocks of 16 MiB; (N, N) sums.
    """
    if missing := {"captured", "rec", "norm"} - set(dataset.data_vars):
        raise TaskvecError(f"no ranking without {', '.join(sorted(missing))}", fix="sweep with captured and rec")
    if "lam" not in dataset.dims:
        return rank(dataset, correction)
    of_lam = ((float(lam), dataset.isel(lam=i)) for i, lam in enumerate(dataset["lam"].values))
    return pd.concat([rank(part, correction).assign(lam=lam) for lam, part in of_lam])


def rank(dataset: xr.Dataset, correction: Correction) -> pd.DataFrame:
    """``ranking`` for one λ."""
    names = dataset["source"].values
    N = len(names)
    shares = {name: PooledShare((N, N)) for name in SHARES if name in dataset}
    means = {name: NanMean((N, N)) for name in MEANS if name in dataset}
    excess, z = GeometricMean((N, N)), RecZ((N, N))
    for rows in blocks(dataset):
        part = dataset.isel(module=rows)
        values = {name: part[name].values for name in means}  # [l, N, N]
        there = ~np.isnan(values["rec"])
        squares = np.where(there, np.square(part["norm"].values, dtype=np.float64)[:, None], 0.0)
        for name, share in shares.items():
            share.add(part[name].values, squares)
        for name, mean in means.items():
            mean.add(values[name])
        if "excess" in dataset:
            excess.add(part["excess"].values)
        if {"rec_chance", "rec_chance_sd"} <= set(dataset.data_vars):
            z.add(values["rec"], values["rec_chance"], part["rec_chance_sd"].values)
    source, target = np.nonzero(~np.eye(N, dtype=bool))
    columns: dict[str, NDArray[Any]] = dict.fromkeys(COLUMNS, np.full(len(source), np.nan))
    columns |= {name: one.value[source, target] for name, one in (shares | means | {"excess": excess}).items()}
    columns |= {"source": names[source], "target": names[target], "used": means["rec"].used[source, target]}
    columns["captured_back"] = shares["captured"].value[target, source]
    columns |= significance(z.value[source, target], dataset, correction)
    order = np.argsort(-columns["captured"], kind="stable")  # NaN last
    return pd.DataFrame({name: columns[name][order] for name in COLUMNS})


def significance(z: NDArray[np.float64], dataset: xr.Dataset, correction: Correction) -> dict[str, NDArray[np.float64]]:
    """rec_z_raw, sigma0, rec_z, p and q of the pairs' z_S."""
    sigma = sigma0(z)
    if np.isnan(sigma) and "shifted_rec_z" in dataset:
        sigma = sigma0(dataset["shifted_rec_z"].values[:, 1:])
    p = p_values(z / sigma)
    return {
        "rec_z_raw": z, "sigma0": np.full_like(z, sigma), "rec_z": z / sigma, "p": p, "q": q_values(p, correction),
    }  # fmt: skip


def blocks(dataset: xr.Dataset) -> Iterator[slice]:
    """Slices along ``module`` that hold BLOCK_BYTES of a pair metric, at least one module."""
    modules, N, _ = dataset["rec"].shape
    step = max(1, BLOCK_BYTES // (4 * N * N))
    return (slice(start, start + step) for start in range(0, modules, step))
