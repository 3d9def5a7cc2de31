"""What of a sweep is kept: every module of every pair, what they come to over modules, or a list of pairs alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import TaskvecError
from ..store.sketches import SIZE

ORDERS = ("captured", "captured_out", "captured_in", "rec", "rec_z_raw", "excess", "cosine")  # for "top"
FLOOR = 0.05


@dataclass(frozen=True)
class Keep:
    """What is kept.

    Attributes:
        how: "all"; "reduced": what the modules of a pair come to; "top": of that the best pairs of each source and of
            each target; "approximate": of that the pairs of which one holds a share of the other, found by sketches.
        top: of "top" how many.
        by: of "top" the best by what.
        floor: of "approximate" the share, captured.
        sketch: of "approximate" the size of the sketches; larger ones miss less and cost more.

    Raises:
        TaskvecError: something else, or no pairs.
    """

    how: str = "all"
    top: int = 0
    by: str = "captured"
    floor: float = FLOOR
    sketch: int = SIZE

    def __post_init__(self) -> None:
        if self.how not in ("all", "reduced", "top", "approximate") or (self.how == "top") != (self.top > 0):
            raise TaskvecError("no such thing to keep", got=str(self), expected="all, reduced or top=K, K ≥ 1")
        if self.by not in ORDERS:
            raise TaskvecError("no order of the pairs to keep", got=self.by, expected=f"one of {', '.join(ORDERS)}")
        if not 0 < self.floor <= 1 or self.sketch < 1:
            got, expected = f"floor {self.floor}, size {self.sketch}", "0 < floor ≤ 1, size ≥ 1"
            raise TaskvecError("no such search", got=got, expected=expected)

    @classmethod
    def of(cls, text: str, by: str = "captured") -> Keep:
        """ "all", "reduced" or "top=100"."""
        found = re.fullmatch(r"(top)=([0-9]+)|(\w+)", text)
        if not found:
            raise TaskvecError("no such thing to keep", got=text, expected="all, reduced or top=K, K ≥ 1")
        return cls(found[1] or found[3], int(found[2] or 0), by)

    @classmethod
    def of_told(cls, told: Mapping[str, Any]) -> Keep:
        """Of what ``told`` says."""
        plain = cls.of(str(told["keep"]), str(told["keep_by"]))
        return cls(plain.how, plain.top, plain.by, float(told.get("floor", FLOOR)), int(told.get("sketch", SIZE)))

    def told(self) -> dict[str, Any]:
        """All of it, for people and for ``of_told``."""
        search = {"floor": self.floor, "sketch": self.sketch} if self.how == "approximate" else {}
        return {"keep": str(self), "keep_by": self.by, **search}

    @property
    def lists(self) -> bool:
        """Whether some pairs are listed, in the place of an array of all."""
        return self.how in ("top", "approximate")

    def __str__(self) -> str:
        return f"top={self.top}" if self.how == "top" else self.how
