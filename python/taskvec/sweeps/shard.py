"""One of n processes that share the units of a sweep without talking to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TaskvecError


@dataclass(frozen=True)
class Shard:
    """The k-th of n parts, from 1: what is computed where depends on the plan alone, not on what is done.

    Neighbouring units share adapters, so that each part is a run of them; runs cost about the same.
    """

    k: int
    n: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Of ``k/n``.

        Raises:
            TaskvecError: anything else, or k not within 1 to n.
        """
        k, slash, n = text.partition("/")
        if not (slash and k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
            raise TaskvecError(f"no part {text!r}", expected="k/n with k from 1 to n", fix="e.g. --shard 3/8")
        return cls(int(k), int(n))

    def part(self, units: Sequence[Any]) -> list[Any]:
        """Of all the units of a plan those of this part."""
        total = sum(unit.pairs for unit in units)
        mine, before = [], 0
        for unit in units:
            # by where the middle of a unit is, so that each is in one part
            if int((before + unit.pairs / 2) * self.n / total) == self.k - 1:
                mine.append(unit)
            before += unit.pairs
        return mine
