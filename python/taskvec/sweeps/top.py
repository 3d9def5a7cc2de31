"""The best pairs of every source and of every target: a list of each unit, and one of all of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..ledger.arrays import Part
from .compute import BlockResult
from .keep import Keep
from .layout import Z_BIN, Z_EDGES
from .plan import Block, Unit
from .reduce import Direction, Reduced

Values = dict[str, NDArray[Any]]
Lists = Callable[[], Iterable[Values]]
ENDS = ("listed_source", "listed_target")
OF_ALL = ("z_counts", "negative_z", "negative_z_squares", "pairs")  # of pairs that are not listed, too


class Top:
    """What ``Reduced`` has of a unit, but of the best pairs alone, both directions of each; and z_S of all, counted."""

    def __init__(self, unit: Unit, reduced: Reduced, keep: Keep) -> None:
        self.unit, self.reduced, self.keep = unit, reduced, keep

    def add(self, block: Block, result: BlockResult) -> None:
        self.reduced.add(block, result)

    def parts(self) -> Iterator[Part]:
        """One list of the unit: variables (..., P) by name."""
        there = as_numbers(self.reduced.there)
        back = there if self.unit.diagonal else as_numbers(self.reduced.back)
        if self.unit.diagonal:
            for value in there.values():
                if value.dtype.kind == "f":
                    value[..., np.arange(len(self.unit.sources)), np.arange(len(self.unit.sources))] = np.nan
        K, by = self.keep.top, self.keep.by
        chosen = best(there[by], K) | best(back[by], K).T
        chosen = chosen | chosen.T if self.unit.diagonal else chosen
        i, j = np.nonzero(chosen)
        ends = (np.asarray(self.unit.sources)[i], np.asarray(self.unit.targets)[j])
        ways = [(there, i, j, ends)] if self.unit.diagonal else [(there, i, j, ends), (back, j, i, ends[::-1])]
        for name, at in zip(ENDS, (0, 1), strict=True):
            yield Part(name, (0,), np.concatenate([way[3][at] for way in ways]).astype(np.int32))
        for name in there:
            yield Part(name, (0,), np.concatenate([way[0][name][..., way[1], way[2]] for way in ways], axis=-1))
        yield from (Part(name, (0,), value) for name, value in count_z([way[0] for way in ways]).items())


def as_numbers(one: Direction) -> Values:
    """Every variable of a direction, fp32 but for ``used``; the one λ is no dimension."""
    found: Values = {}
    for name, value in one.values():
        if value.ndim > 2 and name.partition("_of_")[0] != "captured":
            value = value[0]
        found[name] = value if name == "used" else value.astype(np.float32)
    return found


def best(values: NDArray[Any], K: int) -> NDArray[np.bool_]:
    """Whether a value (N, M) is among the K largest of its row or of its column; NaN never is."""
    known = ~np.isnan(values)
    order = np.where(known, values, -np.inf)
    chosen = np.zeros(order.shape, bool)
    for some, into in ((order, chosen), (order.T, chosen.T)):
        if some.shape[1] <= K:
            into[...] = True
        else:
            np.put_along_axis(into, np.argpartition(-some, K - 1, axis=1)[:, :K], True, axis=1)
    found: NDArray[np.bool_] = chosen & known
    return found


def count_z(ways: Iterable[Values]) -> Values:
    """z_S of every pair, in bins; how many are negative, and Σ z² of those; and the pairs."""
    counts, negative, squares, pairs = np.zeros(len(Z_BIN), np.int64), 0, 0.0, 0
    for values in ways:
        if "rec_z_raw" not in values:
            return {}
        pairs += int((~np.isnan(values["rec"])).sum())
        z = values["rec_z_raw"].astype(np.float64)
        z = z[~np.isnan(z)]
        counts += np.bincount(np.searchsorted(Z_EDGES, z), minlength=len(Z_BIN))
        negative += int((z < 0).sum())
        squares += float(np.square(z[z < 0]).sum())
    found = np.array(negative, np.int64), np.array(squares), np.array(pairs, np.int64)
    return {"z_counts": counts} | dict(zip(OF_ALL[1:], found, strict=True))


def merge(lists: Lists, adapters: int, keep: Keep) -> tuple[Values, Values]:
    """One list from those of the units, sorted by source and target; and what was counted over all pairs.

    Args:
        lists: gives them, in the order of the units; called twice.
        adapters: N.
        keep: how many, and by what.
    """
    names = (*ENDS, keep.by)
    columns = [[values[name] for name in names] for values in lists()]
    if not columns:
        return {}, {}
    source, target, value = (np.concatenate(column) for column in zip(*columns, strict=True))
    chosen = first(source, target, value, keep.top) | first(target, source, value, keep.top)
    place = source.astype(np.int64) * adapters + target
    back = target[chosen].astype(np.int64) * adapters + source[chosen]
    wanted = np.unique(np.concatenate([place[chosen], back]))
    found: dict[str, list[NDArray[Any]]] = {}
    counted: Values = {}
    for values in lists():
        own = values[ENDS[0]].astype(np.int64) * adapters + values[ENDS[1]]
        at = np.isin(own, wanted)
        for name, one in values.items():
            if name in OF_ALL:
                counted[name] = counted[name] + one if name in counted else one
            else:
                found.setdefault(name, []).append(one[..., at])
    merged = {name: np.concatenate(some, axis=-1) for name, some in found.items()}
    order = np.lexsort((merged[ENDS[1]], merged[ENDS[0]]))
    return {name: one[..., order] for name, one in merged.items()}, counted


def counts(counted: Values) -> dict[str, int | float]:
    """What was counted, as attributes."""
    return {name: value.item() for name, value in counted.items() if name != "z_counts"}


def first(group: NDArray[Any], other: NDArray[Any], value: NDArray[Any], K: int) -> NDArray[np.bool_]:
    """Whether a value (P,) is among the K largest of its group; of equal ones that of the smaller ``other``."""
    order = np.lexsort((other, -value, group))
    begins = np.flatnonzero(np.diff(group[order].astype(np.int64), prepend=-1))
    rank = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    chosen = np.zeros(len(order), bool)
    chosen[order] = rank < K
    found: NDArray[np.bool_] = chosen & ~np.isnan(value)
    return found


def pack(values: Mapping[str, NDArray[Any]]) -> bytes:
    """A list as the bytes of a file; the same for the same list."""
    file = io.BytesIO()
    np.savez(file, **values)  # type: ignore[arg-type]
    return file.getvalue()


def unpack(data: bytes) -> Values:
    """What ``pack`` was given; ValueError for something else."""
    try:
        with np.load(io.BytesIO(data)) as file:
            return {name: file[name] for name in file.files}
    except (BadZipFile, OSError, KeyError) as error:
        raise ValueError(str(error)) from error
