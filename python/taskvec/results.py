"""The layout of a sweep's result: dimensions, variables, coordinates; in memory or as a Zarr store."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from .adapters.model import Adapter
from .sparsity import OF_S2

PAIR = ("module", "source", "target")
SOURCE = ("module", "source")

LAYER = {"long_name": "number of the layer, -1 for a module outside the layers"}
LAM = {"long_name": "sparsity weight"}
MEANINGS = {
    "l1": "L1 norm of S1 - S2",
    "l2": "L2 norm of S1 - S2",
    "linf": "largest |S1 - S2|",
    "lp": "Lp norm of S1 - S2",
    "rec": "overlap of the normalised spectra S1 and S2, 0 to 1; read it against rec_chance",
    "entropy_projected": "normalised Shannon entropy of S2",
    "cosine": "cosine of the two task vectors",
    "residual": "what the projection leaves of the target, relative to its norm",
    "energy": "share of the target's squared norm that the source's directions hold",
    "excess": "how many times more of the target the source's directions hold than random ones (1 = chance)",
    "overlap_u": "overlap of the left singular subspaces, 0 to 1",
    "overlap_v": "overlap of the right singular subspaces, 0 to 1",
    "entropy": "normalised Shannon entropy of S1",
    "spectrum": "singular values S1, zeros beyond the adapter's rank",
    "norm": "Frobenius norm of the task vector",
    "rec_chance": "mean REC of random directions",
    "rec_chance_sd": "standard deviation of the REC of random directions",
}


def dimensions(metrics: Sequence[str], by_lam: bool = False) -> dict[str, tuple[str, ...]]:
    """Dimensions of every variable of a result with these pair metrics; ``by_lam``: λ is one of them."""
    one: dict[str, tuple[str, ...]] = {name: SOURCE for name in ("entropy", "norm", "rec_chance", "rec_chance_sd")}
    dims = dict.fromkeys(metrics, PAIR) | one | {"spectrum": (*SOURCE, "component")}
    sparse = (*OF_S2, "rec_chance", "rec_chance_sd") if by_lam else ()
    return {name: (dim[0], "lam", *dim[1:]) if name in sparse else dim for name, dim in dims.items()}


class Results:
    """Arrays of a sweep, filled a few modules at a time; NaN where nothing was written.

    Args:
        adapters: the zoo, N adapters.
        modules: L module paths.
        components: length of the ``component`` dimension.
        metrics: the pair metrics.
        store: an empty folder for a Zarr store, chunks of one module and λ each; None keeps all in memory.
        lams: the λ's, when they are a dimension.
    """

    def __init__(
        self,
        adapters: Sequence[Adapter],
        modules: Sequence[str],
        components: int,
        metrics: Sequence[str],
        store: Path | None,
        lams: Sequence[float] | None = None,
    ) -> None:
        self.coordinates = coordinates(adapters, modules, lams)
        self.position = {path: row for row, path in enumerate(modules)}
        sizes = {"module": len(modules), "source": len(adapters), "target": len(adapters), "component": components}
        sizes["lam"] = len(lams or ())
        self.dims = dimensions(metrics, lams is not None)
        self.group = None if store is None else new_group(store, self.coordinates)
        self.arrays: dict[str, Any] = {}
        for name, dims in self.dims.items():
            shape = tuple(sizes[dim] for dim in dims)
            if self.group is None:
                self.arrays[name] = np.full(shape, np.nan, np.float32)
            else:
                self.arrays[name] = zarr_array(self.group, name, shape, dims)

    def write(
        self, modules: Sequence[str], adapters: Sequence[int], values: Mapping[str, NDArray[np.floating]]
    ) -> None:
        """Write L modules that n adapters, given by position, have.

        Pair metrics are (L, n, n), spectrum (L, n, k), others (L, n), with λ (L, λ, ...). Interrupted half-way, it
        leaves modules of NaN.
        """
        rows, index = [self.position[path] for path in modules], np.asarray(adapters)
        try:
            for name, value in values.items():
                whole = np.full((len(rows), *self.arrays[name].shape[1:]), np.nan, np.float32)
                if "target" in self.dims[name]:
                    whole[..., index[:, None], index] = value
                elif name == "spectrum":
                    whole[:, index] = 0
                    whole[:, index, : value.shape[-1]] = value
                else:
                    whole[..., index] = value
                self.arrays[name][rows] = whole
        except BaseException:
            for array in self.arrays.values():
                array[rows] = np.nan
            raise

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Record the attributes; the store can be opened from now on."""
        self.coordinates.attrs.update(attributes)
        if self.group is not None:
            self.group.attrs.update(attributes)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
                zarr.consolidate_metadata(self.group.store)

    def dataset(self) -> xr.Dataset:
        """The result held in memory."""
        described = {name: (dims, self.arrays[name], {"long_name": MEANINGS[name]}) for name, dims in self.dims.items()}
        return self.coordinates.assign(described)


def open_results(path: Path) -> xr.Dataset:
    """A stored result; values are read when they are used."""
    dataset: xr.Dataset = xr.open_zarr(path, chunks=None)
    return dataset


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


def new_group(store: Path, coords: xr.Dataset) -> zarr.Group:
    """A Zarr group in an empty folder that has the coordinates."""
    coords.to_zarr(store, mode="w", zarr_format=3, consolidated=False)
    return zarr.open_group(store, mode="r+")


def zarr_array(group: zarr.Group, name: str, shape: tuple[int, ...], dims: tuple[str, ...]) -> Any:
    return group.create_array(
        name,
        shape=shape,
        chunks=tuple(1 if dim in ("module", "lam") else size for dim, size in zip(dims, shape, strict=True)),
        dtype="float32",
        fill_value=np.nan,
        dimension_names=dims,
        attributes={"long_name": MEANINGS[name], "coordinates": "kind layer"},
    )
