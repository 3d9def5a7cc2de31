"""A unit as steps: its blocks are read, computed and added up by whoever has the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..ledger.arrays import Part
from ..progress import Advance
from ..store.factors import Factors
from .collect import Adds
from .compute import BlockResult, compute
from .options import Options
from .plan import Block, Unit


class Step(NamedTuple):
    """A block of a unit; of one that has none, what stands for it.

    Attributes:
        block: to be computed and added.
        pairs: ordered pairs of adapters and modules that are done with it.
        last: of the unit.
    """

    block: Block | None
    pairs: int
    last: bool


@dataclass(frozen=True)
class Work:
    """What is to be done for a unit.

    Attributes:
        unit: of the plan.
        blocks: of it, in an order that does not change.
        factors: that blocks are computed from.
        options: how.
        into: what every block is added to.
        parts: what they come to, when all are added.
    """

    unit: Unit
    blocks: tuple[Block, ...]
    factors: Factors
    options: Options
    into: Sequence[Adds]
    parts: Callable[[], Iterable[Part]]

    def steps(self) -> Iterator[Step]:
        """Every block in turn; with the last go the pairs without a module, and those that were known."""
        left = self.unit.pairs
        for i, block in enumerate(self.blocks, 1):
            last = i == len(self.blocks)
            pairs = left if last else min(left, block.pairs)  # a unit may list some pairs of its blocks
            left -= pairs
            yield Step(block, pairs, last)
        if not self.blocks:
            yield Step(None, left, last=True)

    def read(self, block: Block) -> None:
        """Read both sides of a block, where factors are kept: computing it does not wait for them."""
        for side in (block.sources, block.targets):
            self.factors.read(block.modules, side.adapters, side.rank)

    def compute(self, block: Block) -> BlockResult:
        return compute(block, self.factors, self.options)

    def add(self, block: Block, result: BlockResult) -> None:
        for one in self.into:
            one.add(block, result)

    def run(self, advance: Advance = lambda steps: None) -> Iterable[Part]:
        """Every step, one after the other; ``advance`` is told of ordered pairs of adapters and modules."""
        for block, pairs, _ in self.steps():
            if block is not None:
                self.add(block, self.compute(block))
            advance(pairs)
        return self.parts()
