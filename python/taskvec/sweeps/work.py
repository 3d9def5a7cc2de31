"""A unit as steps: its blocks are read, computed and added up by whoever has the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..ledger.arrays import Part
from ..progress import Advance
from ..store.factors import Factors
from .compute import BlockResult, compute
from .options import Options
from .plan import Block, Unit


class Adds(Protocol):
    """What takes in the results of blocks, in their order."""

    def add(self, block: Block, result: BlockResult) -> None: ...


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
    blocks: Iterable[Block]
    factors: Factors
    options: Options
    into: Sequence[Adds]
    parts: Callable[[], Iterable[Part]]

    def read(self, block: Block) -> None:
        """Read both sides of a block, where factors are kept: computing it does not wait for them."""
        for side in (block.sources, block.targets):
            self.factors.read(block.modules, side.adapters, side.rank)

    def compute(self, block: Block) -> BlockResult:
        return compute(block, self.factors, self.options)

    def add(self, block: Block, result: BlockResult) -> None:
        for one in self.into:
            one.add(block, result)

    def done(self, advance: Advance = lambda steps: None) -> Iterable[Part]:
        """Every step, one after the other; ``advance`` is told of ordered pairs of adapters and modules."""
        left = self.unit.pairs
        for block in self.blocks:
            self.add(block, self.compute(block))
            advance(block.pairs)
            left -= block.pairs
        advance(left)  # those without a module, and those that were known
        return self.parts()
