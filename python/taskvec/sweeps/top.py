"""The best pairs of every source and of every target: a list of each unit, and one of all of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..ledger.arrays import Part
from .compute import BlockResult
from .keep import Keep
from .known import Known
from .layout import Z_BIN, Z_EDGES
from .listed import ENDS, Values, concatenated, joined, negative_of
from .plan import Block, Unit
from .reduce import Reduced

Lists = Callable[[], Iterable[Values]]
OF_ALL = ("z_counts", "negative_z", "negative_z_squares", "pairs")  # of pairs that are not listed, too


class Top:
    """What ``Reduced`` has of a unit, but of the best pairs alone, both directions of each; and z_S of all, counted."""

    def __init__(self, unit: Unit, reduced: Reduced, keep: Keep, known: Known | None = None) -> None:
        """``known``: pairs of these are in an older list of the unit, unless that is lost."""
        self.unit, self.reduced, self.keep = unit, reduced, keep
        self.known = None if known is None or known.lost else known

    def add(self, block: Block, result: BlockResult) -> None:
        self.reduced.add(block, result)

    def parts(self) -> Iterator[Part]:
        """One list of the unit: variables (..., P) by name."""
        there = self._values(False)
        back = there if self.unit.diagonal else self._values(True)
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

    def _values(self, back: bool) -> Values:
        """Those of a direction; NaN for an adapter and itself, and for pairs that are known."""
        one = self.reduced.back if back else self.reduced.there
        left_out = np.eye(len(one.sources), len(one.targets), dtype=bool) & self.unit.diagonal
        if self.known is not None:
            left_out |= self.known.pairs(back)
        values = self.reduced.values(one)
        for value in values.values():
            if value.dtype.kind == "f":
                value[..., left_out] = np.nan
        return values


def best(values: NDArray[Any], K: int) -> NDArray[np.bool_]:
    """Whether a value (N, M) is among the K largest of its row or of its column, for any λ of (λ, N, M); NaN never."""
    if values.ndim > 2:
        chosen: NDArray[np.bool_] = np.any([best(one, K) for one in values], axis=0)
        return chosen
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


def count_z(ways: Sequence[Values]) -> Values:
    """z_S of every pair, in bins; how many are negative, and Σ z² of those; and the pairs. By λ where it is several."""
    if "rec_z_raw" not in ways[0]:
        return {}
    z = np.concatenate([way["rec_z_raw"].reshape(*way["rec_z_raw"].shape[:-2], -1) for way in ways], axis=-1)
    rec = [way["rec"].reshape(-1, *way["rec"].shape[-2:])[0] for way in ways]  # every λ has the same pairs
    counts = [np.bincount(bins(of_lam), minlength=len(Z_BIN)) for of_lam in np.atleast_2d(z)]
    return {
        "z_counts": np.reshape(counts, (*z.shape[:-1], len(Z_BIN))).astype(np.int64),
        **negative_of({"rec_z_raw": z}),
        "pairs": np.array(sum(int((~np.isnan(one)).sum()) for one in rec), np.int64),
    }


def bins(z: NDArray[Any]) -> NDArray[np.intp]:
    """In which bin each z is that is not NaN."""
    known = z[~np.isnan(z)].astype(np.float64)
    found: NDArray[np.intp] = np.searchsorted(Z_EDGES, known)
    return found


def extended(before: Values, more: Values) -> Values:
    """The list of a unit with those of its new pairs; those that are not among the best any more go at the end."""
    return {
        name: before[name] + one if name in OF_ALL else concatenated([before[name], one]) for name, one in more.items()
    }


def merge(lists: Lists, adapters: int, keep: Keep) -> tuple[Values, Values]:
    """One list from those of the units, sorted by source and target; and what was counted over all pairs.

    Args:
        lists: gives them, in the order of the units; called twice.
        adapters: N.
        keep: how many, and by what.
    """
    columns = [[values[name] for name in (*ENDS, keep.by)] for values in lists()]
    if not columns:
        return {}, {}
    source, target, value = (np.concatenate(column, axis=-1) for column in zip(*columns, strict=True))
    chosen = np.zeros(len(source), bool)
    for of_lam in np.atleast_2d(value):
        chosen |= first(source, target, of_lam, keep.top) | first(target, source, of_lam, keep.top)
    place = source.astype(np.int64) * adapters + target
    back = target[chosen].astype(np.int64) * adapters + source[chosen]
    wanted = np.unique(np.concatenate([place[chosen], back]))
    found: list[Values] = []
    counted: Values = {}
    for values in lists():
        own = values[ENDS[0]].astype(np.int64) * adapters + values[ENDS[1]]
        at = np.isin(own, wanted)
        found.append({name: one[..., at] for name, one in values.items() if name not in OF_ALL})
        for name in OF_ALL:
            if name in values:
                counted[name] = counted[name] + values[name] if name in counted else values[name]
    return joined(found), counted


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
