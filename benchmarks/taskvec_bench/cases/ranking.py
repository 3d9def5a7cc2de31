"""``queries.selection.select`` of a stored result: what people see of a sweep, of a million pairs and more."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .case import Case, Provider, close
from .loading import Root

TOP = 10  # pairs shown from each end
CHUNK = 256
MEANS = ("captured_out", "captured_in", "rec", "rec_chance", "l1", "cosine", "excess")
SHOWN = ("captured", "captured_back", "q", "l1")
MODULES, COMPONENTS = 16, 8

Rows = dict[str, Tensor]


def ranking_case(adapters: int, *, quick: bool = False) -> Case:
    """A result with ``keep="reduced"`` of N adapters on disk, in the page cache: the first and last pairs, with q."""
    return Case(
        function="ranking",
        variant="keep reduced",
        shape={"N": adapters},
        flop=0,
        bytes=3 * 4 * adapters**2,  # captured, used and z_S, read once
        inputs=lambda: result(adapters),
        truth=by_hand,
        agrees=close,
        providers={"ours/cpu": Provider(ours), "pandas/all pairs as rows": Provider(by_hand)},
        quick=quick,
    )


def result(adapters: int) -> Root:
    """The folder of a result; numbers at random."""
    import xarray as xr

    rng = np.random.default_rng(adapters)
    names = np.array([f"task{i:06}" for i in range(adapters)])
    pair, of_source = ("source", "target"), ("module", "source")
    square = (adapters, adapters)
    dataset = xr.Dataset(coords={"module": [f"h.{i}.q" for i in range(MODULES)], "source": names, "target": names})
    for name in ("captured", *MEANS):
        dataset[name] = pair, rng.random(square, np.float32)
    dataset["rec_z_raw"] = pair, rng.standard_normal(square, np.float32) + (rng.random(square) < 0.02) * np.float32(5)
    dataset["used"] = pair, np.full(square, MODULES, np.int32)
    for name in ("entropy", "norm", "participation"):
        dataset[name] = of_source, rng.random((MODULES, adapters), np.float32)
    dataset["spectrum"] = (*of_source, "component"), rng.random((MODULES, adapters, COMPONENTS), np.float32)
    root = Root()
    chunks = {str(n): {"chunks": (CHUNK, CHUNK)} for n, array in dataset.data_vars.items() if array.dims == pair}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of strings in Zarr, and of consolidated metadata
        dataset.to_zarr(Path(root.name, "out.zarr"), zarr_format=3, consolidated=True, encoding=chunks)
    return root


def opened(root: Root) -> Any:
    import xarray as xr

    return xr.open_zarr(Path(root.name, "out.zarr"), chunks=None)


def ours(root: Root) -> Rows:
    from taskvec.queries.selection import Selection, select

    rows = select(opened(root), Selection(top=TOP)).rows
    return {name: torch.from_numpy(rows[name].to_numpy(np.float64, copy=True)) for name in SHOWN}


def by_hand(root: Root) -> Rows:
    """What one would write: a frame of all ordered pairs, sorted."""
    import pandas as pd  # type: ignore[import-untyped]
    from scipy.stats import false_discovery_control, norm

    dataset = opened(root)
    N = len(dataset["source"])
    source, target = np.nonzero(~np.eye(N, dtype=bool))
    frame = pd.DataFrame({"source": dataset["source"].values[source], "target": dataset["target"].values[target]})
    for name in ("captured", *MEANS, "rec_z_raw", "used"):
        frame[name] = dataset[name].values[source, target].astype(np.float64)
    frame["captured_back"] = dataset["captured"].values[target, source].astype(np.float64)
    z = frame["rec_z_raw"].to_numpy()
    sigma = max(1.0, float(np.sqrt(np.square(z[z < 0]).mean())))
    frame["q"] = false_discovery_control(norm.sf(z / sigma))
    ordered = frame.sort_values("captured", ascending=False, kind="stable")
    first = ordered[ordered["captured"] > ordered["captured_back"]]  # no two are equal
    some = pd.concat([first.iloc[:TOP], first.iloc[-TOP:]])
    by_pair = frame.set_index(["source", "target"])
    both = [pair for row in some.itertuples() for pair in ((row.source, row.target), (row.target, row.source))]
    rows = by_pair.loc[both]
    return {name: torch.from_numpy(rows[name].to_numpy(copy=True)) for name in SHOWN}
