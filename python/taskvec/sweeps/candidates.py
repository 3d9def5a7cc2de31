"""Pairs that may hold a share of each other, found by comparing sketches instead of adapters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import Solver

from ..ledger.arrays import Part
from ..store.factors import Factors
from ..store.sketches import captured_estimate
from .collect import Index, OfSources, ways
from .compute import BlockResult, Floats, array
from .keep import Keep
from .listed import Pairs, Values, parts_of
from .options import Options
from .plan import Block, Plan, Unit, blocks_of
from .work import Work

SHARES = ("captured", "captured_out", "captured_in")
# shares of the floor: where pairs are put apart by what their sketches say, from the surest to the rest
EDGES = (np.inf, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.2, 0.1, -np.inf)
KEPT = 7  # of these: pairs below it are none but for those that are sampled
SAMPLE = 128  # pairs of each that are compared exactly
MISSES = 0.005  # of the pairs that hold the floor, by the sample, one step before the one that is taken

Doubles = NDArray[np.float64]


@dataclass
class Candidates:
    """What sketches say of the pairs of a zoo, in strata of the larger of their two shares.

    Attributes:
        pairs: (n, 2) of the first KEPT strata.
        stratum: (n,) of each.
        sampled: of each stratum (m, 2), at random.
        sizes: pairs of each stratum.
    """

    pairs: Pairs
    stratum: NDArray[np.int8]
    sampled: list[Pairs]
    sizes: NDArray[np.int64]

    @classmethod
    def of_units(cls, lists: Iterable[Values]) -> Candidates:
        """From what ``strata`` has of each unit."""
        columns: dict[str, list[NDArray[Any]]] = defaultdict(list)
        for values in lists:
            for name, one in values.items():
                columns[name].append(one)
        found = {name: np.concatenate(some) for name, some in columns.items() if name != "sizes"}
        sampled = []
        for k in range(len(EDGES) - 1):
            some = np.flatnonzero(found["sampled_stratum"] == k)
            sampled.append(found["sampled"][some[smallest(found["draw"][some])]].astype(np.intp))
        sizes = np.sum(columns["sizes"], axis=0)
        return cls(found["pairs"].astype(np.intp), found["stratum"], sampled, sizes)

    @property
    def drawn(self) -> NDArray[np.int64]:
        """Pairs of the sample of each stratum."""
        return np.array(list(map(len, self.sampled)))

    def enough(self, rates: Doubles) -> int:
        """How many strata, the surest first, have all but MISSES of the pairs that hold the floor, and one more.

        ``rates``: of the sampled of each stratum, the share that holds it.
        """
        held = self.sizes * rates
        below = held.sum() - np.cumsum(held)
        return min(int(np.argmax(below <= MISSES * held.sum())) + 2, KEPT)


class Estimated:
    """Captured of the pairs of a unit in both directions, pooled over modules, by sketches of size s."""

    def __init__(self, unit: Unit, size: int) -> None:
        self.unit, self.size = unit, size
        shape = len(unit.sources), len(unit.targets)
        self.there = np.zeros((2, *shape))  # held, and all
        self.back = self.there if unit.diagonal else np.zeros((2, *shape[::-1]))

    def add(self, block: Block, result: BlockResult) -> None:
        x, y = (result.sources, result.source_norms), (result.targets, result.target_norms)
        found = ways(self.unit, block, result, self.there, self.back)
        for (values, into, at), (source, target) in zip(found, ((x, y), (y, x)), strict=False):
            self._add(into, at, values, source[0], *target)

    def _add(
        self, into: Doubles, at: tuple[Index, Index], values: Mapping[str, Tensor], source: Floats, target: Floats,
        norm: Doubles,
    ) -> None:  # fmt: skip
        """L modules: S of the sources (L, n, k) and of the targets (L, m, k), ‖τ‖ of the targets (L, m)."""
        square = np.square(norm)
        of_target = np.square(target, dtype=np.float64).sum(-1)
        kept = np.divide(of_target, square, out=np.ones_like(square), where=square > 0)
        ranks = (source > 0).sum(-1)
        where = (0, *at), (1, *at)
        found = [array(values[name][0]) for name in SHARES]
        for row in range(len(norm)):
            shares = [of_module[row] for of_module in found]
            share = captured_estimate(shares[0], shares[1], shares[2], ranks[row][:, None], self.size, kept[row])
            into[where[0]] += np.nan_to_num(share * square[row])
            into[where[1]] += square[row]

    def best(self) -> tuple[Pairs, Doubles]:
        """Pairs with a module in common, (n, 2), and the larger of their two shares, (n,)."""
        there, back = (
            np.divide(held, whole, out=np.full_like(held, np.nan), where=whole > 0)
            for held, whole in (self.there, self.back)
        )
        best = np.fmax(there, back.T)
        known = ~np.isnan(best)
        if self.unit.diagonal:
            known = np.triu(known, 1)
        source, target = np.nonzero(known)
        pairs = np.stack([source + self.unit.sources.start, target + self.unit.targets.start], axis=1)
        return pairs, best[source, target]


def sketch_work(unit: Unit, plan: Plan, sketches: Factors, keep: Keep, options: Options, memory: int) -> Work:
    """Of what sketches say of the pairs of a unit: the list that ``strata`` makes, and what belongs to adapters.

    Args:
        unit: of every module.
        plan: of the zoo.
        sketches: of the adapters of the plan.
        keep: the floor, and the size s of the sketches.
        options: precision, backend and device of the products.
        memory: bytes for the sketches and results of a block.

    Cost:
        4 r² s flop an unordered pair and module.
    """
    asked = replace(options, metrics=SHARES, p=None, spectra=False, solver=Solver())
    found = Estimated(unit, keep.sketch)
    known = [OfSources(plan, unit)] if unit.diagonal else []

    def parts() -> list[Part]:
        own = [part for one in known for part in one.parts()]
        return [*own, *parts_of(strata(unit, *found.best(), keep.floor))]

    blocks = tuple(sketch_blocks(plan, unit, keep.sketch, memory))
    return Work(unit, blocks, sketches, asked, [found, *known], parts)


def sketch_blocks(plan: Plan, unit: Unit, size: int, memory: int) -> Iterator[Block]:
    """The blocks of a unit; a sketch is smaller than the adapter that a block is made for."""
    smallest = min((sum(shape) for shape in plan.shapes), default=2 * size)
    room = memory * max(1, smallest // (2 * size))
    modules = plan.modules[unit.modules.start : unit.modules.stop]
    return blocks_of(plan.entries, modules, unit.sources, unit.targets, results=len(SHARES), memory=room)


def strata(unit: Unit, pairs: Pairs, estimate: Doubles, floor: float) -> Values:
    """Pairs put apart by their estimates: those of the first strata, a sample of each, and how many are in each."""
    edges = np.array(EDGES[1:-1]) * floor
    stratum = np.searchsorted(-edges, -estimate, side="left").astype(np.int8)
    draws = np.random.default_rng([unit.row, unit.column]).random(len(pairs))
    places = [np.flatnonzero(stratum == k) for k in range(len(EDGES) - 1)]
    sampled = np.concatenate([some[smallest(draws[some])] for some in places])
    kept = stratum < KEPT
    return {
        "pairs": pairs[kept].astype(np.int32), "stratum": stratum[kept],
        "sampled": pairs[sampled].astype(np.int32), "sampled_stratum": stratum[sampled], "draw": draws[sampled],
        "sizes": np.bincount(stratum, minlength=len(EDGES) - 1),
    }  # fmt: skip


def smallest(draws: Doubles) -> NDArray[np.intp]:
    """The SAMPLE smallest: a sample of all, whatever the units were."""
    return np.argsort(draws, kind="stable")[:SAMPLE]
