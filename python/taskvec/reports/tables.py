"""What every table is made of: plain values, which a terminal, a page or a file lays out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: folds at spaces.
        kind: "name" folds at its separators or becomes a number with a key; "number" stays whole, on the right; "text"
            folds at spaces.
        rank: 0 is always shown; where there is no room, columns of the highest rank are left out first, the last of
            equals before the others.
    """

    title: str
    kind: Literal["name", "number", "text"] = "number"
    rank: int = 0


@dataclass
class Table:
    """Cells of text, row by row.

    Attributes:
        columns: of every row.
        title: one line above.
        rules: rows before which a line is drawn.
        notes: paragraphs below.
    """

    columns: Sequence[Column]
    title: str = ""
    rows: list[tuple[str, ...]] = field(default_factory=list)
    rules: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """A row; cells that are not given are empty."""
        self.rows.append((*cells, *[""] * (len(self.columns) - len(cells))))

    def rule(self) -> None:
        """A line before the next row."""
        self.rules.append(len(self.rows))


Part = Table | str  # of what a command prints: a table, or a paragraph


class Value(NamedTuple):
    """A column of numbers: its title, the name of its value, how it is written, and its rank."""

    title: str
    name: str
    form: str
    rank: int = 0

    @property
    def column(self) -> Column:
        return Column(self.title, "number", self.rank)


def columns_of(values: Iterable[Value]) -> list[Column]:
    return [value.column for value in values]


def cells(values: Mapping[str, Any], columns: Iterable[Value]) -> list[str]:
    return [shown(values[value.name], value.form) for value in columns]


def shown(value: float | None, form: str = ".3g") -> str:
    """A number; a dash for what is undefined."""
    return "-" if value is None or math.isnan(value) else format(value + 0, form)  # -0.0 as 0


def with_lambda(lam: float) -> str:
    return f", λ = {lam:g}" if lam else ""


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
