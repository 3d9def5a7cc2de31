"""A unit of a sweep: its blocks, and what is kept of them. Pure, and the same in any process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..store.entry import MEMORY_BYTES
from ..store.factors import Factors
from .collect import Collector, EveryModule, OfSources
from .keep import Keep
from .known import Known
from .options import Options
from .plan import Block, Plan, Unit, blocks_of
from .reduce import Reduced
from .top import Top
from .work import Work


def unit_work(
    unit: Unit,
    plan: Plan,
    factors: Factors,
    options: Options,
    keep: Keep,
    *,
    several: bool = False,
    known: Known | None = None,
    memory: int = MEMORY_BYTES,
) -> Work:
    """Of every pair of a unit, or of every one that is not known.

    Args:
        unit: of the plan.
        plan: of the result.
        factors: of the adapters of the plan, in its order.
        options: how pairs are compared.
        keep: what of them.
        several: λ is a dimension of the result.
        known: of an older computation; values of pairs of them are NaN.
        memory: bytes for the factors and results of a block.

    Returns:
        Its parts are of the variables of ``layout.arrays``; of the best pairs those of a list.
    """
    lams = len(options.solver.lams)
    pairs: Collector
    if keep.how == "all":
        pairs = EveryModule(plan, unit, options.metrics, lams if several else None)
    else:
        pairs = Reduced(plan, unit, options, several)
        if keep.how == "top":
            pairs = Top(unit, pairs, keep, known)
    into: list[Collector] = [pairs, OfSources(plan, unit)] if unit.diagonal else [pairs]
    blocks = tuple(unit_blocks(unit, plan, len(options.metrics) * lams, known, memory))
    return Work(unit, blocks, factors, options, into, lambda: [part for one in into for part in one.parts()])


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
