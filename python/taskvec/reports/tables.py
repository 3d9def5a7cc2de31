"""What every table is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from ..errors import printable

Columns = tuple[tuple[str, str, str], ...]  # title, name of the value, format


def with_lambda(lam: float) -> str:
    return f", λ = {lam:g}" if lam else ""


def numbers_table(title: str, labels: tuple[str, ...], columns: Columns) -> Table:
    return empty_table(title, [*((label, False) for label in labels), *((header, True) for header, _, _ in columns)])


def empty_table(title: str, columns: Iterable[tuple[str, bool]]) -> Table:
    """Titles of columns, with True for those of numbers."""
    table = Table(title=plain(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for header, number in columns:
        table.add_column(header, justify="right" if number else "left", no_wrap=number, overflow="fold")
    return table


def cells(values: Mapping[str, Any], columns: Columns) -> list[str]:
    return [shown(values[name], form) for _, name, form in columns]


def shown(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value + 0, form)  # -0.0 as 0


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def plain(text: str) -> Text:
    """Text with nothing in it that a terminal would obey."""
    return Text(printable(text))
