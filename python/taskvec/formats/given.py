"""Numbers that a person gives for every module, or for some by name: 8, or "8,fc=16"."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..errors import TaskvecError

EXPECTED = "a number, or numbers by module: 8,fc=16"


class Given(NamedTuple):
    """One number for the modules whose names end so, another for the rest; None for the rest: not given."""

    rest: float | None
    named: tuple[tuple[str, float], ...] = ()

    def of(self, path: str) -> float | None:
        """The number for a module; the longest name that ends its path counts."""
        fits = [(len(name), value) for name, value in self.named if f".{path}".endswith(f".{name}")]
        return max(fits)[1] if fits else self.rest


def parse_given(what: str, value: float | str) -> Given:
    """What a person typed for ``what``.

    Raises:
        TaskvecError: no finite number, or two for the same modules.
    """
    rest: list[float] = []
    named: dict[str, float] = {}
    for item in str(value).split(","):
        name, equals, number = item.rpartition("=")
        try:
            found = float(number)
        except ValueError:
            found = math.nan
        if not math.isfinite(found) or bool(equals) != bool(name.strip()) or (name.strip() in named):
            raise TaskvecError(f"{what} is no number", got=repr(str(value))[:60], expected=EXPECTED)
        if name:
            named[name.strip()] = found
        else:
            rest.append(found)
    if len(rest) > 1:
        raise TaskvecError(f"{what} is given twice", got=repr(str(value))[:60], expected=EXPECTED)
    return Given(rest[0] if rest else None, tuple(named.items()))
