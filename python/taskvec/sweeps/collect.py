"""The results of a unit's blocks, put together: of adapters, and of every module of every pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import compare_spectra

from ..chance.spectra import participation
from ..ledger.arrays import Part
from .compute import BlockResult, array
from .layout import BY_LAM
from .plan import Block, Plan, Unit

Index = slice | NDArray[np.intp]
Arrays = dict[str, NDArray[np.float32]]


Values = TypeVar("Values")


class Adds(Protocol):
    """What takes in the results of blocks, in their order."""

    def add(self, block: Block, result: BlockResult) -> None: ...


class Collector(Adds, Protocol):
    """What becomes of the pairs of a unit."""

    def parts(self) -> Iterator[Part]:
        """The values of the whole unit, in both directions; NaN for pairs that no block had."""


class OfSources:
    """What belongs to one adapter and module, of the adapters of a diagonal unit."""

    def __init__(self, plan: Plan, unit: Unit) -> None:
        self.plan, self.unit = plan, unit
        size = len(unit.modules), len(unit.sources)
        self.norm = np.full(size, np.nan)
        self.spectrum = np.full((*size, plan.components), np.nan, np.float32)

    def add(self, block: Block, result: BlockResult) -> None:
        rows = rows_of(self.plan, self.unit, block.modules)
        sides = (
            (block.sources, result.sources, result.source_norms),
            (block.targets, result.targets, result.target_norms),
        )
        for bucket, spectrum, norm in sides:
            at = rows[:, None], places(bucket.adapters, self.unit.sources)
            self.norm[at] = norm
            self.spectrum[at] = 0
            self.spectrum[(*at, slice(0, bucket.rank))] = spectrum

    def parts(self) -> Iterator[Part]:
        values = {
            "entropy": compare_spectra(self.spectrum, self.spectrum, metrics=["entropy"])["entropy"],
            "norm": self.norm,
            "participation": participation(self.spectrum),
            "spectrum": self.spectrum,
        }
        for name, value in values.items():
            start = self.unit.modules.start, self.unit.sources.start, *(0,) * (value.ndim - 2)
            yield Part(name, start, value.astype(np.float32, copy=False))


class EveryModule:
    """Every metric of every pair of adapters and module."""

    def __init__(self, plan: Plan, unit: Unit, names: Sequence[str], lams: int | None) -> None:
        """``lams``: how many λ's are a dimension; None: the one λ is none."""
        self.plan, self.unit, self.names, self.lams = plan, unit, names, lams

    @cached_property
    def there(self) -> Arrays:
        return self._values(self.names, len(self.unit.sources), len(self.unit.targets))

    @cached_property
    def back(self) -> Arrays:
        return self._values([] if self.unit.diagonal else self.names, len(self.unit.targets), len(self.unit.sources))

    def _values(self, names: Sequence[str], *size: int) -> Arrays:
        """NaN, when the first block comes: a unit that waits takes no memory."""
        L, lams = len(self.unit.modules), self.lams
        return {
            name: np.full((L, *([lams] if lams and name in BY_LAM else []), *size), np.nan, np.float32)
            for name in names
        }

    def add(self, block: Block, result: BlockResult) -> None:
        rows = rows_of(self.plan, self.unit, block.modules)
        for values, into, at in ways(self.unit, block, result, self.there, self.back):
            for name, found in values.items():
                value, by_lam = array(found), self.lams and name in BY_LAM
                for i, row in enumerate(rows):
                    into[name][row][(..., *at)] = value[:, i] if by_lam else value[0, i]

    def parts(self) -> Iterator[Part]:
        starts = self.unit.sources.start, self.unit.targets.start
        for values, (i, j) in ((self.there, starts), (self.back, starts[::-1])):
            for name, value in values.items():
                yield Part(name, (self.unit.modules.start, *(0,) * (value.ndim - 3), i, j), value)


def ways(
    unit: Unit, block: Block, result: BlockResult, there: Values, back: Values
) -> Iterator[tuple[Mapping[str, Tensor], Values, tuple[Index, Index]]]:
    """Both directions of a block: its results, which of ``there`` and ``back`` they go to, and where in that.

    A block of a diagonal unit has both its directions in ``there``.
    """
    if unit.diagonal:
        back = there
    i, j = (block.sources.adapters, unit.sources), (block.targets.adapters, unit.targets)
    yield result.forward, there, crossed(places(*i), places(*j))
    if result.backward is not None:
        yield result.backward, back, crossed(places(*j), places(*i))


def crossed(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Index, Index]:
    """An index of a matrix: two slices where the places follow each other, which is faster."""
    slices = [slice(int(at[0]), int(at[-1]) + 1) for at in (rows, columns)]
    if all(at.stop - at.start == len(places) for at, places in zip(slices, (rows, columns), strict=True)):
        return slices[0], slices[1]
    return rows[:, None], columns


def places(adapters: Sequence[int], of: range) -> NDArray[np.intp]:
    """Where adapters are in a range that they are in."""
    return np.asarray(adapters, np.intp) - of.start


def rows_of(plan: Plan, unit: Unit, modules: Sequence[str]) -> NDArray[np.intp]:
    """Where modules are in a unit."""
    position = {path: row for row, path in enumerate(plan.modules[unit.modules.start : unit.modules.stop])}
    return np.array([position[path] for path in modules], np.intp)
