"""Addresses of pages: everything that a view depends on, as text that can be kept and sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from ..errors import TaskvecError


@dataclass(frozen=True)
class Address:
    """A page and its parameters; readers raise TaskvecError for what a parameter must not be."""

    page: str
    given: Mapping[str, str]

    def text(self, name: str) -> str:
        """Empty without one."""
        return self.given.get(name, "")

    def number(self, name: str, default: float | None, low: float, high: float) -> float | None:
        given = self.text(name)
        if not given:
            return default
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise TaskvecError(f"{name} is no such number", got=repr(given), expected=f"{low:g} to {high:g}")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        value = self.number(name, default, low, high)
        if value is None or value != int(value):
            raise TaskvecError(f"{name} is no whole number", got=repr(self.text(name)))
        return int(value)

    def choice(self, name: str, options: Sequence[str], default: str = "") -> str:
        given = self.text(name)
        if not given:
            return default
        if given not in options:
            some = ", ".join(options[:12]) + (", …" if len(options) > 12 else "")
            raise TaskvecError(f"no such {name}", got=repr(given), expected=f"one of {some}")
        return given

    def span(self, name: str, most: int) -> tuple[int, int]:
        """a:b, within 0:most; all of it without one."""
        given = self.text(name)
        if not given:
            return 0, most
        low, _, high = given.partition(":")
        if not (low.isdecimal() and high.isdecimal() and int(low) < int(high) <= most):
            raise TaskvecError(f"{name} is no range", got=repr(given), expected=f"a:b within 0:{most}")
        return int(low), int(high)

    def __str__(self) -> str:
        """Relative, in one spelling: without what is empty."""
        given = urlencode({name: value for name, value in sorted(self.given.items()) if value})
        return f"{self.page}?{given}" if given else self.page
