"""One unit of a sweep: its blocks through the kernels, and what is kept of them. Pure, and the same in any process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ..ledger.arrays import Part
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


def compute_unit(
    unit: Unit,
    plan: Plan,
    factors: Factors,
    options: Options,
    keep: Keep,
    *,
    several: bool = False,
    known: Known | None = None,
    following: Unit | None = None,
    memory: int = MEMORY_BYTES,
    advance: Advance = lambda steps: None,
) -> Iterator[Part]:
    """Every pair of a unit, or every one that is not known.

    Args:
        unit: of the plan.
        plan: of the result.
        factors: of the adapters of the plan, in its order.
        options: how pairs are compared.
        keep: what of them.
        several: λ is a dimension of the result.
        known: of an older computation; values of pairs of them are NaN.
        following: the unit that will be computed next, which no older computation has.
        memory: bytes for the factors and results of a block.
        advance: told of ordered pairs of adapters and modules.

    Returns:
        Parts of the variables of ``layout.arrays``; of the best pairs those of a list.
    """
    lams = len(options.solver.lams)
    pairs: Collector
    if keep.how == "all":
        pairs = EveryModule(plan, unit, options.metrics, lams if several else None)
    else:
        pairs = Reduced(plan, unit, options, several)
        if keep.how == "top":
            pairs = Top(unit, pairs, keep, known)
    collectors = [pairs, OfSources(plan, unit)] if unit.diagonal else [pairs]
    results = len(options.metrics) * lams
    blocks = unit_blocks(unit, plan, results, known, memory)
    if getattr(factors, "reads_ahead", False):
        after = unit_blocks(following, plan, results, None, memory) if following else iter(())
        blocks = read_ahead(blocks, factors, next(after, None))
    for block in blocks:
        result = compute(block, factors, options)
        for one in collectors:
            one.add(block, result)
        advance(block.pairs)
    for one in collectors:
        yield from one.parts()


def read_ahead(blocks: Iterator[Block], factors: Factors, after: Block | None = None) -> Iterator[Block]:
    """The blocks; while one is computed the factors of the next one are read, which keep what was read last.

    With the last one those of ``after`` are read.
    """
    with ThreadPoolExecutor(1) as reader:
        reading: Future[None] | None = None
        last: Block | None = None
        for block in blocks:
            if reading is not None:
                reading.result()
            reading = reader.submit(touch, block, factors)
            if last is not None:
                yield last
            last = block
        if reading is not None and last is not None:
            reading.result()
            if after is not None:
                reader.submit(touch, after, factors)  # whoever reads it again gets its error
            yield last


def touch(block: Block, factors: Factors) -> None:
    """Read both sides of a block."""
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
