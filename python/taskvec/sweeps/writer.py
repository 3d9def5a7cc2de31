"""A sweep's result while it is made: arrays in memory or a Zarr store, filled a few modules at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from ..adapters import Adapter
from .layout import BY_LAM, MEANINGS, coordinates, dimensions


class ResultWriter:
    """Arrays of a sweep; NaN where nothing was written.

    Args:
        adapters: the zoo, N adapters.
        modules: L module paths.
        components: length of the ``component`` dimension.
        metrics: the pair metrics.
        store: an empty folder for a Zarr store, chunks of one module and λ each; None keeps all in memory.
        lams: the λ's, when they are a dimension of the result.
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
        self.begun: set[int] = set()  # rows of which a part is written: modules of several shapes
        sizes = {"module": len(modules), "source": len(adapters), "target": len(adapters), "component": components}
        sizes["lam"] = len(lams or ())
        self.dims = dimensions(metrics, lams is not None)
        self.store = None if store is None else new_store(store, self.coordinates)
        self.arrays: dict[str, Any] = {}
        for name, dims in self.dims.items():
            shape = tuple(sizes[dim] for dim in dims)
            if self.store is None:
                self.arrays[name] = np.full(shape, np.nan, np.float32)
            else:
                self.arrays[name] = new_array(self.store, name, shape, dims)

    def write(
        self, modules: Sequence[str], adapters: Sequence[int], values: Mapping[str, NDArray[np.floating]]
    ) -> None:
        """Write L modules that n adapters, given by position, have in one shape; what others have stays.

        Pair metrics are (L, n, n), spectrum (L, n, k), others (L, n); what depends on λ has its axis after the first.
        Interrupted half-way, it leaves modules of NaN.
        """
        rows, index = [self.position[path] for path in modules], np.asarray(adapters)
        again = [i for i, row in enumerate(rows) if row in self.begun]
        try:
            for name, value in values.items():
                dims = self.dims[name]
                if name in BY_LAM and "lam" not in dims:
                    value = value[:, 0]  # one λ is no dimension
                whole = np.full((len(rows), *self.arrays[name].shape[1:]), np.nan, np.float32)
                for i in again:
                    whole[i] = self.arrays[name][rows[i]]
                if "target" in dims:
                    whole[..., index[:, None], index] = value
                elif name == "spectrum":
                    whole[:, index] = 0
                    whole[:, index, : value.shape[-1]] = value
                else:
                    whole[..., index] = value
                self.arrays[name][rows] = whole
            self.begun.update(rows)
        except BaseException:
            for array in self.arrays.values():
                array[rows] = np.nan
            raise

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Record the attributes; the store can be opened from now on."""
        self.coordinates.attrs.update(attributes)
        if self.store is not None:
            self.store.attrs.update(attributes)
            with quiet():
                zarr.consolidate_metadata(self.store.store)

    def dataset(self) -> xr.Dataset:
        """The result held in memory."""
        described = {name: (dims, self.arrays[name], {"long_name": MEANINGS[name]}) for name, dims in self.dims.items()}
        return self.coordinates.assign(described)


@contextmanager
def quiet() -> Iterator[None]:
    """Without zarr's warnings that consolidated metadata and strings of a fixed width are its own extensions."""
    with warnings.catch_warnings():
        for message in ("Consolidated metadata is currently not part", ".*does not have a Zarr V3 specification"):
            warnings.filterwarnings("ignore", message=message)
        yield


def new_store(folder: Path, coords: xr.Dataset) -> zarr.Group:
    """A Zarr group in an empty folder that has the coordinates."""
    with quiet():
        coords.to_zarr(folder, mode="w", zarr_format=3, consolidated=False)
    return zarr.open_group(folder, mode="r+")


def new_array(store: zarr.Group, name: str, shape: tuple[int, ...], dims: tuple[str, ...]) -> Any:
    return store.create_array(
        name,
        shape=shape,
        chunks=tuple(1 if dim in ("module", "lam") else size for dim, size in zip(dims, shape, strict=True)),
        dtype="float32",
        fill_value=np.nan,
        dimension_names=dims,
        attributes={"long_name": MEANINGS[name], "coordinates": "columns kind layer rows"},
    )
