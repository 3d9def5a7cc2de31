"""What a sweep would keep, made from the values of every module by the slow formulas."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from taskvec.paths import layer_of

SHARES = ("captured", "captured_out", "captured_in")
PAIR = ("source", "target")


def reduced(dataset: xr.Dataset) -> xr.Dataset:
    """``--keep reduced`` of the result of one λ that keeps all."""
    rec = dataset["rec"].values
    there = ~np.isnan(rec)  # [L, N, N]
    square = np.where(there, np.square(dataset["norm"].values.astype(float))[:, None], 0)
    layers = [layer_of(path) for path in dataset["module"].values]
    model_layers = list(dict.fromkeys(layers))
    arrays, by_layer = {}, []
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, array in dataset.data_vars.items():
            if array.dims != ("module", *PAIR) or name == "rec_chance_sd":
                continue
            known = (~np.isnan(array.values)).sum(0)
            mean = np.nansum(array.values, 0, dtype=float) / known
            if name in SHARES:
                arrays |= {name: np.nansum(array.values * square, 0) / square.sum(0), f"mean_{name}": mean}
            elif name == "excess":
                arrays |= {name: np.exp(np.nansum(np.log(array.values), 0) / known), f"mean_{name}": mean}
            else:
                arrays[name] = mean
        if "rec_chance_sd" in dataset:
            above = np.nansum(rec - dataset["rec_chance"].values, 0, dtype=float)
            arrays["rec_z_raw"] = above / np.sqrt(np.nansum(np.square(dataset["rec_chance_sd"].values), 0))
            arrays["rec_z_raw"][np.isinf(arrays["rec_z_raw"])] = np.nan
        for layer in model_layers:
            rows = [i for i, one in enumerate(layers) if one == layer]
            held = np.nansum(dataset["captured"].values[rows] * square[rows], 0)
            by_layer.append(held / square[rows].sum(0))
    kept = dataset.drop_vars([name for name, array in dataset.data_vars.items() if "target" in array.dims])
    kept = kept.assign({name: (PAIR, value.astype(np.float32)) for name, value in arrays.items()})
    kept = kept.assign(used=(PAIR, there.sum(0).astype(np.int32)))
    of_layer = ("model_layer", *PAIR), np.array(by_layer, np.float32)
    kept = kept.assign(captured_of_layer=of_layer).assign_coords(model_layer=model_layers)
    return kept.assign_attrs(keep="reduced")


def listed(dataset: xr.Dataset, pairs: Iterable[tuple[int, int]], *, counts: bool = True) -> xr.Dataset:
    """A list of pairs, given by position, both directions of each; ``counts``: with what was counted over all."""
    whole = reduced(dataset)
    both = sorted({end for i, j in pairs for end in ((i, j), (j, i))})
    source, target = np.array(both, np.int32).reshape(-1, 2).T
    at = {"source": xr.DataArray(source, dims="listed"), "target": xr.DataArray(target, dims="listed")}
    names = [name for name, array in whole.data_vars.items() if "target" in array.dims]
    found = whole.drop_vars(names).assign({name: whole[name].isel(at).drop_vars(PAIR) for name in names})
    found = found.assign(listed_source=("listed", source), listed_target=("listed", target))
    z = whole["rec_z_raw"].values[~np.eye(whole.sizes["source"], dtype=bool)]
    negative = z[z < 0].astype(float)
    found = found.assign_attrs(keep="list", pairs=len(z))
    found = found.assign(negative_z=len(negative), negative_z_squares=float((negative**2).sum()))
    if not counts:
        return found
    edges = np.linspace(-32, 32, 4095)
    found = found.assign(z_counts=("z_bin", np.histogram(z, [-np.inf, *edges, np.inf])[0]))
    return found.assign_coords(z_bin=[-np.inf, *edges])
