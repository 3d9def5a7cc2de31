"""Every number that a result has for a pair, as a claim that the source contains the target: more is nearer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..chance.means import nan_mean
from ..errors import TaskvecError
from ..paths import layer_of
from .direction import RESOLUTION, number_layers
from .kept import MEAN, NO_METRICS, OF_Z, Listed, kept, points
from .pair_values import read_pairs

LESS = ("l1", "l2", "linf", "lp", "residual")  # smaller is nearer
NOT_SCORED = (*NO_METRICS, "rec_chance_sd", "rec_error", "captured_error")
PAIR, SOURCE = ("source", "target"), ("source",)

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]
Of = Literal["kept", "pair", "source"]


@dataclass(frozen=True)
class Column:
    """A number of a result.

    Attributes:
        name: in the result.
        of: "kept": of a pair, as the sweep keeps it; "pair": one number a pair; "source": of the source alone.
        sign: −1 where smaller is nearer.
    """

    name: str
    of: Of
    sign: int


def columns_of(dataset: xr.Dataset, only: Sequence[str] | None = None) -> list[Column]:
    """Of a result for one λ: its metrics, z_S, and what else has the dimensions of a metric.

    The attribute ``nearer`` of a variable, "less" or "greater", says which way it is to be read.

    Args:
        dataset: a result, or one with variables of your own.
        only: names; None: all.

    Raises:
        TaskvecError: a name that the result does not have, or another ``nearer``.
    """
    pairs = kept(dataset)
    kept_dims = {("module", *PAIR), ("listed",), *(() if pairs.every_module else (PAIR,))}
    found = []
    for name, array in dataset.data_vars.items():
        dims = tuple(str(dim) for dim in array.dims)
        of: Of | None = "kept" if dims in kept_dims else "pair" if dims == PAIR else None
        of = "source" if dims in (("module", *SOURCE), SOURCE) else of
        if of is None or name in NOT_SCORED or str(name).startswith(MEAN) or array.dtype.kind not in "fiu":
            continue
        nearer = array.attrs.get("nearer", "less" if name in LESS else "greater")
        if nearer not in ("less", "greater"):
            raise TaskvecError(f"{name}: the attribute nearer", got=repr(nearer), expected="less or greater")
        found.append(Column(str(name), of, -1 if nearer == "less" else 1))
    if set(OF_Z) <= set(dataset.data_vars) or "rec_z_raw" in dataset:
        found.append(Column("rec_z_raw", "kept", 1))
    if only is None:
        return found
    known = {column.name: column for column in found}
    if missing := [name for name in only if name not in known]:
        raise TaskvecError(f"the result has no metric {missing[0]!r}", expected=", ".join(known))
    return [known[name] for name in only]


class Measured:
    """Values of ordered pairs, turned so that more is nearer."""

    def __init__(self, dataset: xr.Dataset, columns: Sequence[Column]) -> None:
        self.dataset, self.columns, self.kept = dataset, columns, kept(dataset)
        self.layers = number_layers([layer_of(path) for path in dataset["module"].values])

    def check(self, source: Positions, target: Positions) -> None:
        """TaskvecError for pairs that the result does not keep."""
        if isinstance(self.kept, Listed):
            absent = ~np.isin(source * self.kept.adapters + target, self.kept.place)
            if absent.any():
                what = f"does not keep {int(absent.sum())} of the pairs, {self.names(source[absent], target[absent])}"
                raise TaskvecError(f"the result {what}", fix="sweep with --keep all, or --keep pairs")

    def names(self, source: Positions, target: Positions) -> str:
        return f"{self.kept.names[source[0]]} → {self.kept.names[target[0]]} first"

    def values(self, source: Positions, target: Positions) -> dict[str, Floats]:
        """Of every column (P,): shares pooled over modules, means of the others; NaN without a common module."""
        of_kept = [column.name for column in self.columns if column.of == "kept"]
        found = self.kept.at(source, target, [*of_kept, "used"])
        there = found["used"] > 0
        for column in self.columns:
            if column.of == "pair":
                found[column.name] = self.dataset[column.name].isel(points(source, target)).values
            elif column.of == "source":
                found[column.name] = self.of_source(column.name)[source]
        return {
            column.name: np.where(there, column.sign * np.asarray(found[column.name], np.float64), np.nan)
            for column in self.columns
        }

    def of_source(self, name: str) -> Floats:
        values: Floats = self.dataset[name].values.astype(np.float64)
        return nan_mean(values)[0] if values.ndim > 1 else values

    def claims(self, source: Positions, target: Positions) -> dict[str, Floats]:
        """Of columns with values by module, how much nearer source → target is than the way back, by layer: (G, P).

        Relative to the size of both, from −1 to 1; the mean over the modules of a layer.
        """
        if not self.kept.every_module:
            return {}
        there, back = self.kept.by_module(source, target), self.kept.by_module(target, source)
        both = self.kept.both_have(source, target)
        found = {}
        for column in self.columns:
            name = column.name
            if column.of == "source" and self.dataset[name].ndim > 1:
                values = self.dataset[name].values
                one, two = values[:, source], values[:, target]
            elif column.of == "kept" and name in there:
                one, two = there[name], back[name]
            else:
                continue
            apart = np.where(both, column.sign * nearer(one, two), np.nan)
            found[name] = self.by_layer(apart)
        return found

    def by_layer(self, values: Floats) -> Floats:
        """Means over the modules of each layer, (L, P) → (G, P)."""
        order = range(int(self.layers.max(initial=-1)) + 1)
        means = [nan_mean(values[self.layers == layer])[0] for layer in order]
        found: Floats = np.concatenate(means).reshape(-1, values.shape[1])
        return found


def nearer(there: NDArray[np.floating], back: NDArray[np.floating]) -> Floats:
    """(there − back) / (|there| + |back|), 0 where both are 0 or rounding apart; NaN stays NaN."""
    one, two = np.asarray(there, np.float64), np.asarray(back, np.float64)
    size = np.abs(one) + np.abs(two)
    apart: Floats = np.divide(one - two, size, out=np.zeros_like(one), where=size > 0)
    apart[np.abs(apart) < RESOLUTION] = 0.0
    apart[np.isnan(size)] = np.nan
    return apart


def with_columns(dataset: xr.Dataset, path: Path, less: Sequence[str] = ()) -> xr.Dataset:
    """The result with numbers of your own: a CSV file with the columns source, target and one a metric.

    Args:
        dataset: a result.
        path: of the file; pairs that it does not have are NaN.
        less: those of its columns of which smaller is nearer.

    Raises:
        TaskvecError: as ``read_pairs``; a column that the result has; a name in ``less`` that is no column.
    """
    names = [str(name) for name in dataset["source"].values]
    found = read_pairs(path, names)
    if taken := [name for name in found.values if name in dataset.variables or name == "rec_z_raw"]:
        raise TaskvecError(f"the result has a {taken[0]!r} already", where=path, fix="call the column otherwise")
    if unknown := [name for name in less if name not in found.values]:
        raise TaskvecError(f"no column {unknown[0]!r}", where=path, expected=", ".join(found.values))
    arrays = {}
    for name, values in found.values.items():
        square = np.full((len(names), len(names)), np.nan)
        square[found.source, found.target] = values
        arrays[name] = (PAIR, square, {"nearer": "less" if name in less else "greater"})
    return dataset.assign(arrays)
