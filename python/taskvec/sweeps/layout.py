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
ROWS = {"long_name": "m, the outputs of the module"}
COLUMNS = {"long_name": "n, the inputs of the module"}
LAM = {"long_name": "sparsity weight"}
MEANINGS = {metric.name: metric.meaning for metric in metrics.METRICS} | {
    "spectrum": "singular values S1, zeros beyond the adapter's rank",
    "norm": "Frobenius norm of the task vector",
    "participation": "participation ratio of the spectrum, (sum S1^2)^2 / sum S1^4: directions in effect",
    "pair_source": "position of the source of a pair that has a baseline",
    "pair_target": "position of its target",
    "shifted_captured": "captured, pooled, with the layers shifted; shift 0: not shifted",
    "shifted_captured_cut": "the same of both cut to the smaller rank; NaN where ranks are equal",
    "shifted_rec": "mean REC with the layers shifted; shift 0: not shifted",
    "shifted_rec_z": "z of REC against its chance with the layers shifted; shift 0: not shifted",
    "captured_cut": "captured of both cut to the smaller rank; NaN where ranks are equal",
}
BY_LAM = metrics.BY_LAM
OF_SOURCE = (*(metric.name for metric in metrics.METRICS if metric.of == "source"), "norm", "participation")


def dimensions(names: Sequence[str], by_lam: bool = False) -> dict[str, tuple[str, ...]]:
    """Dimensions of every variable of a result with these pair metrics; ``by_lam``: λ is one of them."""
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(names, PAIR)
    dims |= dict.fromkeys(OF_SOURCE, SOURCE) | {"spectrum": (*SOURCE, "component")}
    return {name: (dim[0], "lam", *dim[1:]) if by_lam and name in BY_LAM else dim for name, dim in dims.items()}


def start_of(adapter: Adapter) -> str:
    """The start that its modules are little more than, such as "pissa"; empty for none."""
    return next((module.start for module in adapter.modules.values() if module.start), "")


def coordinates(adapters: Sequence[Adapter], modules: Sequence[str], lams: Sequence[float] | None = None) -> xr.Dataset:
    """Adapter names along source and target; paths, layer, kind and shape along module; λ along lam.

    Strings have a fixed width: Zarr's strings of any length open as objects, which xarray neither plots nor cuts into
    chunks.
    """
    some = {path: adapter.modules[path] for adapter in adapters for path in adapter.modules}
    layers = [some[path].layer for path in modules]
    rows, columns = np.array([some[path].shape for path in modules], np.int32).reshape(-1, 2).T
    names = np.array([adapter.name for adapter in adapters], dtype=np.str_)
    return xr.Dataset(
        coords={
            "module": np.array(modules, dtype=np.str_),
            "source": names,
            "target": names,
            **({} if lams is None else {"lam": ("lam", np.array(lams, np.float64), LAM)}),
            "layer": ("module", np.array([-1 if layer is None else layer for layer in layers], np.int32), LAYER),
            "kind": ("module", np.array([some[path].kind for path in modules], dtype=np.str_)),
            "rows": ("module", rows, ROWS),
            "columns": ("module", columns, COLUMNS),
        }
    )
