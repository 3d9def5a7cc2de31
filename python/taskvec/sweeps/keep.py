"""What of a sweep is kept: every module of every pair, what they come to over modules, or the best pairs alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import TaskvecError

ORDERS = ("captured", "captured_out", "captured_in", "rec", "rec_z_raw", "excess", "cosine")  # for "top"


@dataclass(frozen=True)
class Keep:
    """``how``: "all", "reduced" or "top"; of "top" the pairs of each source and of each target, and the best by what.

    Raises:
        TaskvecError: something else, or no pairs.
    """

    how: str = "all"
    top: int = 0
    by: str = "captured"

    def __post_init__(self) -> None:
        if self.how not in ("all", "reduced", "top") or (self.how == "top") != (self.top > 0):
            raise TaskvecError("no such thing to keep", got=str(self), expected="all, reduced or top=K, K ≥ 1")
        if self.by not in ORDERS:
            raise TaskvecError("no order of the pairs to keep", got=self.by, expected=f"one of {', '.join(ORDERS)}")

    @classmethod
    def of(cls, text: str, by: str = "captured") -> Keep:
        """ "all", "reduced" or "top=100"."""
        found = re.fullmatch(r"(top)=([0-9]+)|(\w+)", text)
        if not found:
            raise TaskvecError("no such thing to keep", got=text, expected="all, reduced or top=K, K ≥ 1")
        return cls(found[1] or found[3], int(found[2] or 0), by)

    def __str__(self) -> str:
        return f"top={self.top}" if self.how == "top" else self.how
