"""The steps of a unit: every pair of it is told once, whatever its blocks are."""

from __future__ import annotations

from typing import Any

import pytest

from taskvec.sweeps.options import Options
from taskvec.sweeps.plan import Block, Bucket, Unit
from taskvec.sweeps.work import Work

NO_FACTORS: Any = None


def block(*modules: str) -> Block:
    return Block(modules, Bucket((0, 1, 2), 8), Bucket((3, 4), 8))


def work(unit: Unit, *blocks: Block) -> Work:
    return Work(unit, blocks, NO_FACTORS, Options(), [], lambda: [])


WHOLE = Unit(0, range(3), range(3), range(3, 5), 0, 1)
LISTED = Unit(0, range(3), range(3), range(3, 5), 0, 1, listed=bytes(8))  # one pair


@pytest.mark.parametrize(
    ("unit", "blocks", "pairs"),
    [
        (WHOLE, [block("a"), block("b"), block("c")], [12, 12, 12]),
        (WHOLE, [block("a"), block("b")], [12, 24]),  # nobody shares the third
        (WHOLE, [block("a", "b", "c")], [36]),
        (WHOLE, [], [36]),
        (LISTED, [block("a", "b"), block("c")], [6, 0]),
        (LISTED, [], [6]),
    ],
)
def test_every_pair_is_told_once(unit: Unit, blocks: list[Block], pairs: list[int]) -> None:
    steps = [*work(unit, *blocks).steps()]
    assert [step.block for step in steps] == (blocks or [None])
    assert [step.pairs for step in steps] == pairs and sum(pairs) == unit.pairs
    assert [step.last for step in steps] == [False] * (len(steps) - 1) + [True]
