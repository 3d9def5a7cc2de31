"""The layout of a sweep's result: dimensions, variables and their descriptions, coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from taskvec_kernels import metrics

from ..adapters import Adapter
from ..ledger.arrays import Array, Part
from ..paths import layer_and_kind, layer_of
from ..store.entry import FP32_BYTES, Entry
from ..zoo import group_names, module_paths
from .keep import Keep
from .options import Options
from .plan import Plan

Z_EDGES = np.linspace(-32.0, 32.0, 4095)
Z_BIN = np.append(Z_EDGES, np.inf)  # the upper end of each bin: no pair counts for less than it is

FP64_BYTES = 8
CHUNK_BYTES = 2**18  # of several modules together
ALL_MODULES = 64  # of a chunk, where a unit holds all of them
ALL_GROUPS = 16  # layers or kinds of a chunk
COMPONENTS = 16  # of a chunk, whatever the widest adapter has: a wider one adds chunks
FILL = {"spectrum": 0.0}  # an adapter of more directions than all before it makes this one wider
# coordinates by a dimension of the variables that name them, as xarray looks for them
BESIDE = {"module": "columns kind layer rows", "source": "source_group target_group"}
PAIR = ("module", "source", "target")
SOURCE = ("module", "source")

LAYER = {"long_name": "number of the layer, -1 for a module outside the layers"}
ROWS = {"long_name": "m, the outputs of the module"}
COLUMNS = {"long_name": "n, the inputs of the module"}
GROUP = {"long_name": "group of adapters that share modules, by their base model"}
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
MEAN_OF = ("captured", "captured_out", "captured_in", "excess")  # what is not a plain mean has one of its own
MEANINGS |= {
    "rec_z_raw": "sum of REC - chance over modules in its standard deviations",
    "used": "modules that REC counts",
    "listed_source": "position of the source of a pair",
    "listed_target": "position of its target",
    "z_counts": "ordered pairs by their rec_z_raw, all that were computed",
    "negative_z": "ordered pairs of which rec_z_raw is negative",
    "negative_z_squares": "sum of the squares of these",
    "captured_of_layer": "captured, pooled over the modules of a layer",
    "captured_of_kind": "captured, pooled over the modules of a kind",
    "rec_of_layer": "mean REC over the modules of a layer",
    "rec_of_kind": "mean REC over the modules of a kind",
} | {f"mean_{name}": f"plain mean over modules of {name}" for name in MEAN_OF}
BY_LAM = metrics.BY_LAM
OF_SOURCE = (*(metric.name for metric in metrics.METRICS if metric.of == "source"), "norm", "participation")


def dimensions(names: Sequence[str], keep: Keep, by_lam: bool = False) -> dict[str, tuple[str, ...]]:
    """Dimensions of every variable of a result with these pair metrics; ``by_lam``: λ is one of them."""
    dims = pair_dimensions(names, keep, by_lam)
    return dims | dict.fromkeys(OF_SOURCE, SOURCE) | {"spectrum": (*SOURCE, "component")}


def pair_dimensions(names: Sequence[str], keep: Keep, by_lam: bool) -> dict[str, tuple[str, ...]]:
    """Of what belongs to a pair."""
    if keep.lists:
        return {}
    if keep.how == "all":
        return {name: ("module", *lam_of(name, by_lam), "source", "target") for name in names}
    return {name: (*lam_of(base_of(name), by_lam), *others, "source", "target") for name, others in reduced(names)}


def reduced(names: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """What metrics of a pair come to over modules: variables, and the dimensions that they have besides the pair's."""
    found: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in names if name != "rec_chance_sd"]
    found += [(f"mean_{name}", ()) for name in MEAN_OF if name in names]
    for name in ("captured", "rec"):
        if name in names:
            found += [(f"{name}_of_layer", ("model_layer",)), (f"{name}_of_kind", ("model_kind",))]
    if {"rec", "rec_chance", "rec_chance_sd"} <= set(names):
        found.append(("rec_z_raw", ()))
    return [*found, ("used", ())]


def base_of(name: str) -> str:
    """The metric that a variable is made of."""
    return {"rec_z_raw": "rec"}.get(name, name.removeprefix("mean_").partition("_of_")[0])


def lam_of(metric: str, by_lam: bool) -> tuple[str, ...]:
    return ("lam",) if by_lam and metric in BY_LAM else ()


def arrays(plan: Plan, names: Sequence[str], keep: Keep, lams: Sequence[float] | None) -> dict[str, Array]:
    """Every variable of a result on disk but the coordinates, with chunks that a unit writes whole.

    Args:
        plan: where the result is cut.
        names: metrics of a pair.
        keep: what of them.
        lams: the λ's, when they are a dimension.
    """
    sizes = dict.fromkeys(("source", "target"), len(plan.entries)) | {
        "module": len(plan.modules), "lam": len(lams or ()), "component": plan.components,
        "model_layer": len(layers_of(plan.modules)), "model_kind": len(kinds_of(plan.modules)),
    }  # fmt: skip
    several = plan.group or ALL_MODULES
    together = max(1, CHUNK_BYTES // (FP32_BYTES * plan.chunk**2))
    of_pair = {"module": min(several, together), "source": plan.chunk, "target": plan.chunk}
    of_pair |= dict.fromkeys(("model_layer", "model_kind"), min(ALL_GROUPS, together))
    of_source = {"module": several, "source": plan.side, "component": COMPONENTS}
    found: dict[str, Array] = {}
    for name, dims in dimensions(names, keep, lams is not None).items():
        cut = of_pair if "target" in dims else of_source
        shape, chunks = tuple(sizes[dim] for dim in dims), tuple(cut.get(dim, 1) for dim in dims)
        dtype, fill = (np.dtype("int32"), 0) if name == "used" else (np.dtype("float32"), FILL.get(name, np.nan))
        beside = " ".join(text for dim, text in BESIDE.items() if dim in dims)
        about = {"long_name": MEANINGS[name], "coordinates": beside}
        found[name] = Array(name, dims, shape, chunks, dtype, fill, about)
    return found


def unit_bytes(entries: Sequence[Entry], options: Options, keep: Keep) -> int:
    """Memory of a unit for each pair of its adapters, both directions: of one module, or of sums over modules."""
    lams = len(options.solver.lams)
    results = sum(lams if name in BY_LAM else 1 for name in options.metrics)
    if keep.how == "all":
        return 2 * FP32_BYTES * results
    modules = module_paths(entries)
    parts = len(layers_of(modules)) + len(kinds_of(modules))
    return 2 * (FP64_BYTES + FP32_BYTES) * (results + 6 + parts * (1 + lams))


def listed_variables(
    values: Mapping[str, NDArray[np.generic]], counted: Mapping[str, NDArray[np.generic]], several: bool
) -> xr.Dataset:
    """A list of pairs, and what was counted of z_S over all pairs, as variables; ``several``: λ is a dimension."""
    found = {}
    for name, value in values.items():
        of_group = {"layer": ("model_layer",), "kind": ("model_kind",)}.get(name.partition("_of_")[2], ())
        dims = (*lam_of(base_of(name), several), *of_group, "listed")
        found[name] = dims, value, {"long_name": MEANINGS[name]}
    for name, value in counted.items():
        dims = (*lam_of("rec", several), *(("z_bin",) if name == "z_counts" else ()))
        found[name] = dims, value, {"long_name": MEANINGS[name]}
    coords = {"z_bin": ("z_bin", Z_BIN, {"long_name": "upper end of a bin of z_S"})} if "z_counts" in counted else {}
    return xr.Dataset(found, coords)


def coordinate_arrays(coords: xr.Dataset) -> tuple[dict[str, Array], list[Part]]:
    """The coordinates as arrays of one chunk, which has room for more: its bytes stay readable when they come."""
    found, parts = {}, []
    for name, one in coords.coords.items():
        values = one.values
        if values.dtype.kind == "U":
            values = values.astype(f"U{rounded(max(1, values.dtype.itemsize // 4), 16)}")
        fill = "" if values.dtype.kind == "U" else 0
        chunk = (rounded(len(values), 256),)
        found[str(name)] = Array(
            str(name), tuple(map(str, one.dims)), values.shape, chunk, values.dtype, fill, one.attrs
        )
        parts.append(Part(str(name), (0,), values))
    return found, parts


def rounded(size: int, to: int) -> int:
    return max(1, -(-size // to)) * to


def layers_of(modules: Sequence[str]) -> list[str]:
    """What names the layers of these modules, in the order in which they come."""
    return list(dict.fromkeys(map(layer_of, modules)))


def kinds_of(modules: Sequence[str]) -> list[str]:
    """Their kinds, in the order in which they come."""
    return list(dict.fromkeys(layer_and_kind(path)[1] for path in modules))


def start_of(adapter: Adapter | Entry) -> str:
    """The start that its modules are little more than, such as "pissa"; empty for none."""
    return next((module.start for module in adapter.modules.values() if module.start), "")


def coordinates(
    adapters: Sequence[Adapter] | Sequence[Entry],
    modules: Sequence[str],
    lams: Sequence[float] | None = None,
    shapes: Sequence[tuple[int, int]] | None = None,
) -> xr.Dataset:
    """Names of adapters and groups along source and target; paths, layer, kind and shape along module; λ along lam.

    Strings have a fixed width: Zarr's strings of any length open as objects, which xarray neither plots nor cuts into
    chunks. ``shapes`` are those of the modules where the adapters do not tell.
    """
    if shapes is None:
        some = {path: adapter.modules[path].shape for adapter in adapters for path in adapter.modules}
        shapes = [some[path] for path in modules]
    layers, kinds = zip(*map(layer_and_kind, modules), strict=True) if modules else ((), ())
    rows, columns = np.array(shapes, np.int32).reshape(-1, 2).T
    names = np.array([adapter.name for adapter in adapters], dtype=np.str_)
    groups = np.array(group_names(adapters), dtype=np.str_)
    return xr.Dataset(
        coords={
            "module": np.array(modules, dtype=np.str_),
            "source": names,
            "target": names,
            "source_group": ("source", groups, GROUP),
            "target_group": ("target", groups, GROUP),
            **({} if lams is None else {"lam": ("lam", np.array(lams, np.float64), LAM)}),
            "layer": ("module", np.array([-1 if layer is None else layer for layer in layers], np.int32), LAYER),
            "kind": ("module", np.array(kinds, dtype=np.str_)),
            "rows": ("module", rows, ROWS),
            "columns": ("module", columns, COLUMNS),
        }
    )


def coordinates_of(plan: Plan, keep: Keep, lams: Sequence[float] | None) -> xr.Dataset:
    """The coordinates of a result."""
    found = coordinates(plan.entries, plan.modules, lams, plan.shapes)
    if keep.how == "all":
        return found
    return found.assign_coords(model_layer=layers_of(plan.modules), model_kind=kinds_of(plan.modules))
