"""One unit of a sweep: its blocks through the kernels, and what is kept of them. Pure, and the same in any process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..progress import Advance
from ..store.entry import MEMORY_BYTES
from ..store.factors import Factors
from .collect import Collector, EveryModule, OfSources
from .compute import compute
from .keep import Keep
from .known import Known
from .options import Options
from .plan import Block, Plan, Unit, blocks_of
from .reduce import Reduced
from .top import Top

NOBODY_WAITS = nullcontext()


def compute_unit(
    unit: Unit,
    plan: Plan,
    factors: Factors,
    options: Options,
    keep: Keep,
    *,
    several: bool = False,
    known: Known | None = None,
    turn: AbstractContextManager[Any] = NOBODY_WAITS,
    memory: int = MEMORY_BYTES,
    advance: Advance = lambda steps: None,
) -> list[Collector]:
    """Every pair of a unit, or every one that is not known, put together; ``Collector.parts`` is what it comes to.

    Args:
        unit: of the plan.
        plan: of the result.
        factors: of the adapters of the plan, in its order.
        options: how pairs are compared.
        keep: what of them.
        several: λ is a dimension of the result.
        known: of an older computation; values of pairs of them are NaN.
        turn: entered for the kernels, which use every core, so that units of one process take turns.
        memory: bytes for the factors and results of a block.
        advance: told of ordered pairs of adapters and modules.

    Returns:
        What has the parts of the variables of ``layout.arrays``; of the best pairs those of a list.
    """
    lams = len(options.solver.lams)
    pairs: Collector
    if keep.how == "all":
        pairs = EveryModule(plan, unit, options.metrics, lams if several else None)
    else:
        pairs = Reduced(plan, unit, options, several)
        if keep.how == "top":
            pairs = Top(unit, pairs, keep, known)
    collectors: list[Collector] = [pairs, OfSources(plan, unit)] if unit.diagonal else [pairs]
    for block in unit_blocks(unit, plan, len(options.metrics) * lams, known, memory):
        touch(block, factors)
        with turn:
            result = compute(block, factors, options)
        for one in collectors:
            one.add(block, result)
        advance(block.pairs)
    return collectors


def touch(block: Block, factors: Factors) -> None:
    """Read both sides of a block, which are kept."""
    for side in (block.sources, block.targets):
        factors.read(block.modules, side.adapters, side.rank)


def unit_blocks(unit: Unit, plan: Plan, results: int, known: Known | None, memory: int) -> Iterator[Block]:
    """The blocks of a unit, in an order that does not change; those of known pairs left out."""
    modules = plan.modules[unit.modules.start : unit.modules.stop]
    for sources, targets in rectangles(unit, known):
        if sources and targets:
            yield from blocks_of(plan.entries, modules, sources, targets, results=results, memory=memory)


def rectangles(unit: Unit, known: Known | None) -> list[tuple[Sequence[int], Sequence[int]]]:
    """Sources and targets whose pairs make up what is to be computed of a unit, each once."""
    if known is None:
        return [(unit.sources, unit.targets)]
    new, old = split(unit.sources, known.sources)
    of_targets = split(unit.targets, known.targets)
    found: list[tuple[Sequence[int], Sequence[int]]] = [(old, of_targets[1])] if known.lost else []
    found += [(new, new), (new, old)] if unit.diagonal else [(new, unit.targets), (old, of_targets[0])]
    return found


def split(adapters: range, known: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Those that are not known, and those that are."""
    sides = ([i for i, is_known in zip(adapters, known, strict=True) if is_known == side] for side in (False, True))
    return next(sides), next(sides)
