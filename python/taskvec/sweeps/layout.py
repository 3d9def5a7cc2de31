"""The layout of a sweep's result: dimensions, variables and their descriptions, coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from taskvec_kernels import metrics

from ..adapters import Adapter

PAIR = ("module", "source", "target")
SOURCE = ("module", "source")

LAYER = {"long_name": "number of the layer, -1 for a module outside the layers"}
LAM = {"long_name": "sparsity weight"}
MEANINGS = {metric.name: metric.meaning for metric in metrics.METRICS} | {
    "spectrum": "singular values S1, zeros beyond the adapter's rank",
    "norm": "Frobenius norm of the task vector",
    "rec_chance": "mean REC of random directions",
    "rec_chance_sd": "standard deviation of the REC of random directions",
}
BY_LAM = metrics.BY_LAM | {"rec_chance", "rec_chance_sd"}
OF_SOURCE = (
    *(metric.name for metric in metrics.METRICS if metric.of == "source"),
    "norm",
    "rec_chance",
    "rec_chance_sd",
)


def dimensions(names: Sequence[str], by_lam: bool = False) -> dict[str, tuple[str, ...]]:
    """Dimensions of every variable of a result with these pair metrics; ``by_lam``: λ is one of them."""
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(names, PAIR)
    dims |= dict.fromkeys(OF_SOURCE, SOURCE) | {"spectrum": (*SOURCE, "component")}
    return {name: (dim[0], "lam", *dim[1:]) if by_lam and name in BY_LAM else dim for name, dim in dims.items()}


def coordinates(adapters: Sequence[Adapter], modules: Sequence[str], lams: Sequence[float] | None = None) -> xr.Dataset:
    """Adapter names along source and target; paths, ``layer`` and ``kind`` along module; λ along lam."""
    some = {path: adapter.modules[path] for adapter in adapters for path in adapter.modules}
    layers = [some[path].layer for path in modules]
    names = np.array([adapter.name for adapter in adapters], dtype=object)
    return xr.Dataset(
        coords={
            "module": np.array(modules, dtype=object),
            "source": names,
            "target": names,
            **({} if lams is None else {"lam": ("lam", np.array(lams, np.float64), LAM)}),
            "layer": ("module", np.array([-1 if layer is None else layer for layer in layers], np.int32), LAYER),
            "kind": ("module", np.array([some[path].kind for path in modules], dtype=object)),
        }
    )
