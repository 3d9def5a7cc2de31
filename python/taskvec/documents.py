"""Documents that every reader takes: strict JSON, and lists of text as the attributes of a stored result."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .errors import printable


def null_for_nan(value: Any) -> Any:
    """``value`` for JSON: NaN and infinities as None, tuples as lists."""
    if isinstance(value, dict):
        return {key: null_for_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [null_for_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_text(lines: Iterable[str]) -> str:
    """A list as one attribute, a line each: no netCDF but version 4 holds a list of strings."""
    return "".join(f"{printable(line)}\n" for line in lines)


def as_lines(text: str) -> list[str]:
    """The list that ``as_text`` was given."""
    return text.split("\n")[:-1]
