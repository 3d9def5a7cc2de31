"""The ordered pairs of a result, whatever it keeps: values of every module, of modules together, or a list of pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..chance.means import GeometricMean, NanMean, PooledShare
from ..chance.significance import RecZ
from ..paths import layer_of

SHARES = ("captured", "captured_out", "captured_in")
OF_Z = ("rec", "rec_chance", "rec_chance_sd")
NO_METRICS = ("used", "rec_z_raw", "listed_source", "listed_target")
MEAN = "mean_"  # the plain mean of a metric that is pooled or geometric under its own name
SIDE = 512  # adapters of a tile of pairs
BLOCK_BYTES = 16 * 2**20  # of one variable that are read at once

Floats = NDArray[np.floating]
Positions = NDArray[np.intp]
Place = Mapping[str, Any]  # indexers of source and target


@dataclass(frozen=True)
class Part:
    """Some unordered pairs, P of them: positions, and columns (P,) from source to target and back."""

    source: Positions
    target: Positions
    there: Mapping[str, Floats]
    back: Mapping[str, Floats]


class Kept(ABC):
    """The pairs of different adapters that a result for one λ keeps.

    Columns are one number an ordered pair: pooled shares, the geometric mean ``excess``, ``rec_z_raw``, ``used``, and
    the mean over modules of any other metric; NaN for what the sweep left out.
    """

    every_module = True  # whether values of every module are kept

    def __init__(self, dataset: xr.Dataset) -> None:
        self.dataset = dataset
        self.names = dataset["source"].values
        self.adapters = len(self.names)
        self.norm = dataset["norm"].values  # [L, N]

    @property
    def pairs(self) -> int:
        """Ordered pairs that are kept."""
        return self.adapters * (self.adapters - 1)

    @abstractmethod
    def parts(self, columns: Sequence[str]) -> Iterator[Part]:
        """Every unordered pair once, a bounded number at a time."""

    @abstractmethod
    def at(self, source: Positions, target: Positions, columns: Sequence[str]) -> dict[str, Floats]:
        """Columns (P,) of P ordered pairs, which must be kept."""

    @abstractmethod
    def both_have(self, source: Positions, target: Positions) -> NDArray[np.bool_]:
        """Whether both of a pair have a module, (L, P)."""

    @abstractmethod
    def by_module(self, source: Positions, target: Positions) -> dict[str, Floats]:
        """Every metric of P pairs, (L, P): where modules are kept together their mean stands for each of them."""

    @abstractmethod
    def captured(self, source: Positions, target: Positions) -> Floats:
        """``captured`` by module, (L, P): where modules are kept together that of their layer, pooled."""


class Square(Kept):
    """Every pair: arrays over source and target, read in tiles."""

    def parts(self, columns: Sequence[str]) -> Iterator[Part]:
        starts = range(0, self.adapters, SIDE)
        for i in starts:
            for j in starts[i // SIDE :]:
                rows, others = (slice(start, min(start + SIDE, self.adapters)) for start in (i, j))
                there = self.columns({"source": rows, "target": others}, columns)
                back = there if i == j else self.columns({"source": others, "target": rows}, columns)
                shape = (rows.stop - i, others.stop - j)
                source, target = np.triu_indices(shape[0], 1) if i == j else np.indices(shape).reshape(2, -1)
                yield Part(
                    source + i,
                    target + j,
                    {name: value[source, target] for name, value in there.items()},
                    {name: value[target, source] for name, value in back.items()},
                )

    def at(self, source: Positions, target: Positions, columns: Sequence[str]) -> dict[str, Floats]:
        return self.columns(points(source, target), columns)

    @abstractmethod
    def columns(self, place: Place, names: Sequence[str]) -> dict[str, Floats]:
        """Columns of the pairs at ``place``, in its shape."""


class ByModule(Square):
    """Every metric of every module."""

    def both_have(self, source: Positions, target: Positions) -> NDArray[np.bool_]:
        there: NDArray[np.bool_] = ~np.isnan(self.dataset["rec"].isel(points(source, target)).values)
        return there

    def by_module(self, source: Positions, target: Positions) -> dict[str, Floats]:
        place, names = points(source, target), of_dims(self.dataset, ("module", "source", "target"))
        return {name: self.dataset[name].isel(place).values for name in names}

    def captured(self, source: Positions, target: Positions) -> Floats:
        found: Floats = self.dataset["captured"].isel(points(source, target)).values
        return found

    def columns(self, place: Place, names: Sequence[str]) -> dict[str, Floats]:
        """One pass over the modules, those of a block at a time."""
        target = place["target"]
        norm = self.norm[:, None, target] if isinstance(target, slice) else self.norm[:, target.values]
        shape = self.dataset["rec"].isel(module=0, **place).shape
        of_z = OF_Z if "rec_z_raw" in names and all(name in self.dataset for name in OF_Z) else ()
        read = {"rec", *of_z, *(name for name in names if name in self.dataset)}
        sums = {name: running(name, shape) for name in names if name in read}
        z, used = RecZ(shape), np.zeros(shape, np.int64)
        for modules in self.module_blocks():
            part = {name: self.dataset[name].isel(module=modules, **place).values for name in read}
            there = ~np.isnan(part["rec"])
            used += there.sum(axis=0)
            squares = np.where(there, np.square(norm[modules], dtype=np.float64), 0.0)
            for name, one in sums.items():
                if isinstance(one, PooledShare):
                    one.add(part[name], squares)
                else:
                    one.add(part[name])
            if of_z:
                z.add(*(part[name] for name in of_z))
        found: dict[str, Floats] = {name: one.value for name, one in sums.items()}
        found |= {"rec_z_raw": z.value, "used": used.astype(np.float64)}
        return {name: found[name] if name in found else np.full(shape, np.nan) for name in names}

    def module_blocks(self) -> Iterator[slice]:
        """Slices along ``module`` that hold BLOCK_BYTES of a tile, at least one module."""
        step = max(1, BLOCK_BYTES // (4 * min(self.adapters, SIDE) ** 2))
        return (slice(start, start + step) for start in range(0, len(self.norm), step))


class Together(Kept):
    """Modules are kept together: the columns themselves, plain means of shares beside them, and shares of layers."""

    every_module = False

    def both_have(self, source: Positions, target: Positions) -> NDArray[np.bool_]:
        there: NDArray[np.bool_] = ~np.isnan(self.norm[:, source]) & ~np.isnan(self.norm[:, target])
        return there

    def by_module(self, source: Positions, target: Positions) -> dict[str, Floats]:
        there = self.both_have(source, target)
        stored = [str(name) for name, array in self.dataset.data_vars.items() if array.dims == self.dims]
        plain = {name: MEAN + name if MEAN + name in stored else name for name in stored if not name.startswith(MEAN)}
        means = self.at(source, target, [name for one, name in plain.items() if one not in NO_METRICS])
        return {one: np.where(there, means[name], np.nan) for one, name in plain.items() if name in means}

    def captured(self, source: Positions, target: Positions) -> Floats:
        layers = {layer: i for i, layer in enumerate(self.dataset["model_layer"].values.tolist())}
        of_module = [layers[layer_of(path)] for path in self.dataset["module"].values]
        found: Floats = self.of_layer(source, target)[of_module]
        return found

    @property
    @abstractmethod
    def dims(self) -> tuple[str, ...]:
        """Dimensions of a column."""

    @abstractmethod
    def of_layer(self, source: Positions, target: Positions) -> Floats:
        """``captured_of_layer``, (layers, P)."""


class Reduced(Square, Together):
    """Every pair."""

    dims = ("source", "target")

    def columns(self, place: Place, names: Sequence[str]) -> dict[str, Floats]:
        found = {name: self.dataset[name].isel(place).values for name in names if name in self.dataset}
        if len(found) < len(names):
            missing = np.full(self.dataset["captured"].isel(place).shape, np.nan)
            found |= {name: missing for name in names if name not in found}
        return found

    def of_layer(self, source: Positions, target: Positions) -> Floats:
        found: Floats = self.dataset["captured_of_layer"].isel(points(source, target)).values
        return found


class Listed(Together):
    """A list of ordered pairs, sorted by source and target; where one is, so is the other way."""

    dims = ("listed",)

    def __init__(self, dataset: xr.Dataset) -> None:
        super().__init__(dataset)
        self.source, self.target = (dataset[f"listed_{end}"].values.astype(np.intp) for end in ("source", "target"))
        self.place = self.source * self.adapters + self.target  # ascending

    @property
    def pairs(self) -> int:
        return len(self.source)

    def parts(self, columns: Sequence[str]) -> Iterator[Part]:
        there = np.flatnonzero(self.source < self.target)
        source, target = self.source[there], self.target[there]
        back = self.rows(target, source)
        yield Part(source, target, self.columns(there, columns), self.columns(back, columns))

    def at(self, source: Positions, target: Positions, columns: Sequence[str]) -> dict[str, Floats]:
        return self.columns(self.rows(source, target), columns)

    def of_layer(self, source: Positions, target: Positions) -> Floats:
        found: Floats = self.dataset["captured_of_layer"].values[:, self.rows(source, target)]
        return found

    def rows(self, source: Positions, target: Positions) -> Positions:
        """Where these pairs are in the list."""
        return np.searchsorted(self.place, source * self.adapters + target)

    def columns(self, rows: Positions, names: Sequence[str]) -> dict[str, Floats]:
        missing = np.full(len(rows), np.nan)
        return {name: self.dataset[name].values[rows] if name in self.dataset else missing for name in names}


def running(name: str, shape: tuple[int, ...]) -> PooledShare | GeometricMean | NanMean:
    """How the values of a metric are taken together over modules."""
    if name in SHARES:
        return PooledShare(shape)
    return GeometricMean(shape) if name == "excess" else NanMean(shape)


def kept(dataset: xr.Dataset) -> Kept:
    """The pairs of a result for one λ."""
    if "listed" in dataset.dims:
        return Listed(dataset)
    return ByModule(dataset) if "module" in dataset["captured"].dims else Reduced(dataset)


def points(source: Positions, target: Positions) -> dict[str, xr.DataArray]:
    """Indexers of P pairs."""
    return {"source": xr.DataArray(source, dims="pair_at"), "target": xr.DataArray(target, dims="pair_at")}


def of_dims(dataset: xr.Dataset, dims: Iterable[str]) -> tuple[str, ...]:
    """Variables that have exactly these dimensions."""
    return tuple(str(name) for name, array in dataset.data_vars.items() if array.dims == tuple(dims))
