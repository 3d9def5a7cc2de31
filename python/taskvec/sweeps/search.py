"""An approximate sweep as a job: units of sketches, which say what the next ones are; then those, exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..documents import as_lines, as_text
from ..ledger.arrays import Part
from ..store.factor_store import FactorStore
from ..store.factors import Factors
from ..store.kept import Kept
from ..store.sketches import Sketches
from .candidates import Candidates, sketch_work
from .job import Job, Ordered
from .layout import listed_variables
from .listed import ENDS, Pairs, Values, joined, negative_of, pairs_of, parts_of, tile_work, tiles, values_of
from .plan import Plan, Unit
from .work import Work

SIDE = 512  # adapters along a unit of sketches
SAMPLE, CANDIDATES = 1, 2  # groups of units; 0: sketches
DOING = ("comparing sketches", "comparing a sample", "comparing candidates")


@dataclass(frozen=True)
class Stages:
    """The units of a search: those of the next stage are known when every one of a stage is done.

    Attributes:
        plan: of the result.
        floor: captured.
        is_done: whether a unit is.
        read: the list of a unit that is.
    """

    plan: Plan
    floor: float
    is_done: Callable[[Unit], bool]
    read: Callable[[Unit], Values]

    def units(self) -> Iterator[Unit]:
        """Sketches, tiles of the sample, tiles of the candidates, as far as they are known."""
        first = [*self.plan.units()]
        yield from first
        if all(map(self.is_done, first)):
            yield from self.sample
            if all(map(self.is_done, self.sample)):
                yield from self.rest

    @cached_property
    def found(self) -> Candidates:
        return Candidates.of_units(map(self.read, self.plan.units()))

    @cached_property
    def sample(self) -> list[Unit]:
        return [*tiles(self.plan, np.concatenate(self.found.sampled), SAMPLE)]

    @cached_property
    def rest(self) -> list[Unit]:
        """Of the candidates that are not in the sample."""
        return [*tiles(self.plan, self.chosen[~np.isin(self._number(self.chosen), self._sampled[0])], CANDIDATES)]

    @property
    def chosen(self) -> Pairs:
        """The pairs that are compared whatever the sample is."""
        return self.found.pairs[self.found.stratum < self.strata]

    @cached_property
    def rates(self) -> NDArray[np.float64]:
        """Of the sampled pairs of each stratum, the share that holds the floor."""
        number, holds = self._sampled
        held = [holds[np.searchsorted(number, self._number(pairs))].sum() for pairs in self.found.sampled]
        found: NDArray[np.float64] = np.array(held) / np.maximum(1, self.found.drawn)
        return found

    @cached_property
    def strata(self) -> int:
        return self.found.enough(self.rates)

    @property
    def misses(self) -> tuple[float, float]:
        """Pairs above the floor that were not compared, by the rates, and the standard error of their number."""
        sizes, drawn, rates = (of[self.strata :] for of in (self.found.sizes, self.found.drawn, self.rates))
        left = sizes - drawn
        likely = (rates * drawn + 1) / (drawn + 2)  # none of the sample does not mean none at all
        variance = sizes * left * likely * (1 - likely) / np.maximum(1, drawn - 1)
        return float((left * rates).sum()), float(np.sqrt(variance.sum()))

    @cached_property
    def _sampled(self) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """The pairs of the sample, ascending, and whether they hold the floor."""
        number, holds = [np.empty(0, np.intp)], [np.empty(0, bool)]
        for unit in self.sample:
            number.append(self._number(pairs_of(unit)))
            holds.append(holding(self.read(unit), self.floor))
        numbers = np.concatenate(number)
        order = np.argsort(numbers)
        return numbers[order], np.concatenate(holds)[order]

    def _number(self, pairs: Pairs) -> NDArray[np.intp]:
        found: NDArray[np.intp] = pairs[:, 0] * len(self.plan.entries) + pairs[:, 1]
        return found


def holding(values: Values, floor: float) -> NDArray[np.bool_]:
    """Whether one of a pair holds the floor of the other, (P,), for the list of a tile: all pairs, then all back."""
    there, back = np.split(values["captured"], 2)
    found: NDArray[np.bool_] = np.fmax(there, back) >= floor
    return found


@dataclass(frozen=True)
class Search(Job):
    """``Job`` of an approximate sweep; what is kept says the floor and the size of the sketches."""

    @cached_property
    def stages(self) -> Stages:
        return Stages(self.plan, self.keep.floor, self.is_done, self.read_list)

    @cached_property
    def sketches(self) -> Factors:
        return Kept(sketches_of(self.factors, self.keep.sketch), self.memory, self.options.device)

    def units(self) -> Iterator[Unit]:
        return self.stages.units()

    def doing(self, unit: Unit) -> str:
        return DOING[unit.group]

    def work(self, unit: Unit) -> Work:
        """Of the list of a unit; with what belongs to the adapters, of a diagonal one of sketches."""
        if not unit.listed:
            return sketch_work(unit, self.plan, self.sketches, self.keep, self.options, self.memory)
        work = tile_work(unit, self.plan, self.factors, self.options, several=self.several, memory=self.memory)
        return work if unit.group != CANDIDATES else replace(work, parts=lambda: self._held(work))

    def _held(self, work: Work) -> list[Part]:
        """What a tile lists of the pairs that hold the floor."""
        values = values_of(work.parts())
        holds = np.tile(holding(values, self.keep.floor), 2)
        return parts_of({name: one[..., holds] for name, one in values.items()})

    def listed(self, attributes: Mapping[str, Any]) -> tuple[xr.Dataset, dict[str, Any]]:
        """The pairs that hold the floor; and how they were found."""
        stages = self.stages
        sample = [self.read_list(unit) for unit in stages.sample]
        held = []
        for values in sample:
            holds = np.tile(holding(values, self.keep.floor), 2)
            held.append({name: one[..., holds] for name, one in values.items()})
        values = joined([*held, *map(self.read_list, stages.rest)])
        tried, (last, found) = joined(sample), (stages.found.sampled[-1], stages.found)
        number = tried[ENDS[0]] * len(self.plan.entries) + tried[ENDS[1]] if tried else np.empty(0, np.intp)
        of_last = np.concatenate([last, last[:, ::-1]]) @ [len(self.plan.entries), 1]
        counted = negative_of(tried, np.flatnonzero(np.isin(number, of_last)))
        chosen, (misses, error), sampled = len(stages.chosen), stages.misses, int(found.drawn.sum())
        said = (
            f"approximate: {chosen:,} of {found.sizes.sum():,} pairs were compared exactly, chosen by sketches of size "
            f"{self.keep.sketch}, and {sampled:,} at random; about {misses:.0f} ± {error:.0f} above the floor missed"
        )
        about = {
            "floor": self.keep.floor, "sketch_size": self.keep.sketch, "pairs": int(2 * found.sizes.sum()),
            "candidates": chosen, "sampled": sampled, "expected_misses": round(misses, 1),
            "expected_misses_error": round(error, 1),
            "warnings": as_text([*as_lines(attributes["warnings"]), said]),
        }  # fmt: skip
        return listed_variables(values, counted, self.several), {**attributes, **about}


def cut_for_sketches(plan: Plan) -> Plan:
    """The plan with larger units: a sketch is small."""
    return replace(plan, side=SIDE, group=0)


def sketches_of(factors: Factors, size: int) -> Factors:
    """Those of the store where it has them in this size."""
    if isinstance(factors, Ordered):
        return Ordered(sketches_of(factors.factors, size), factors.order)
    if isinstance(factors, Kept):
        return sketches_of(factors.factors, size)
    stored = factors.sketches() if isinstance(factors, FactorStore) else None
    return stored if stored is not None and stored.size == size else Sketches(factors, size)
