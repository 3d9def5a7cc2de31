"""Tables as lines of text that fit a terminal: every name and number whole, whatever its width.

Where columns do not fit, names fold at their separators, then the least important columns are left out, which a note
says. Names that still do not fit become numbers with a key below.
"""

from __future__ import annotations

import re
import textwrap
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len

from ..errors import printable
from .tables import Column, Part, Table, counted

GAP = "  "  # between columns
FEW, MOST = 2, 4  # lines of a folded name: before columns are left out, and before it becomes a number
NARROW = 8  # names of fewer cells had better be numbers
SHORT = 16  # names of no more cells do not fold to make room for a column
SEPARATOR = {"name": re.compile(r"(?<=[-_/.:@, ])"), "text": re.compile("(?<= )"), "number": re.compile("$")}
ASCII = str.maketrans(
    dict(zip("→×±─≥≤·…⋮–−°", ("->", "x", "+-", "-", ">=", "<=", "*", "...", ":", "-", "-", "deg"), strict=True))
    | dict(
        zip("τσλεΣ‖₀₁₂²ᴴᵀ√", ("tau", "s", "lambda", "eps", "sum", "||", *"012", "^2", "^H", "^T", "sqrt"), strict=True)
    )
)


def render(parts: Iterable[Part], width: int | None = None, *, ascii_only: bool = False) -> str:
    """Tables and paragraphs as text, with an empty line between a table and what is before it.

    Args:
        parts: what is printed; control characters in it are escaped.
        width: cells of a line; None: no limit, a row a line.
        ascii_only: spell out what is not ASCII.
    """
    lines: list[str] = []
    for part in parts:
        if isinstance(part, str):
            lines += paragraph(spelled(part, ascii_only), width)
        else:
            lines += [*([""] if lines else []), *table_lines(part, width, ascii_only)]
    return "".join(f"{line}\n" for line in lines)


def spelled(text: str, ascii_only: bool) -> str:
    """``text`` with nothing in it that a terminal would obey or could not show."""
    text = printable(text)
    return text.translate(ASCII).encode("ascii", "backslashreplace").decode() if ascii_only else text


def paragraph(text: str, width: int | None) -> list[str]:
    """Folded at spaces; a word that is wider than the line stays whole."""
    if width is None or cell_len(text) <= width:
        return [text]
    return textwrap.wrap(text, max(1, width), break_long_words=False, break_on_hyphens=False)


def table_lines(table: Table, width: int | None, ascii_only: bool) -> Iterator[str]:
    titles = [spelled(column.title, ascii_only) for column in table.columns]
    rows = [[spelled(cell, ascii_only) for cell in row] for row in table.rows]
    layout = Grid(table.columns, titles, rows).fit(width)
    below = [spelled(note, ascii_only) for note in table.notes]
    if layout.left_out:
        names = ", ".join(titles[column] for column in layout.left_out)
        below.insert(0, f"No room for {counted(len(layout.left_out), 'column')}: {names}; --width N or --json has all.")
    if table.title:
        yield from [*paragraph(spelled(table.title, ascii_only), width), ""]
    yield from layout.lines(table.rules, "-" if ascii_only else "─")
    if layout.key:
        yield from ["", *(line for name, number in layout.key.items() for line in of_key(name, number, width))]
    if below:
        yield from ["", *(line for note in below for line in paragraph(note, width))]


def of_key(name: str, number: str, width: int | None) -> list[str]:
    """A line of the key; the name folds at its separators where it can."""
    lines = fold(name, width - len(number) - 1, "name") if width else None
    first, *more = lines or [name]
    return [f"{number} {first}", *(" " * len(number) + f" {line}" for line in more)]


def fold(text: str, width: int, kind: str) -> list[str] | None:
    """``text`` in lines of at most ``width`` cells, cut at the separators of its kind; None when a piece is wider."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for piece in SEPARATOR[kind].split(text):
        if lines[-1] and cell_len(f"{lines[-1]}{piece}".rstrip()) > width:
            lines.append("")
        lines[-1] += piece
        if cell_len(lines[-1].rstrip()) > width:
            return None
    return [line.rstrip() for line in lines]


class Layout(NamedTuple):
    """Cells in lines, titles first; the columns that are left out, by position; names to the numbers in their place."""

    rows: list[list[list[str]]]
    widths: list[int]
    right: list[bool]
    left_out: list[int]
    key: dict[str, str]

    def lines(self, rules: Sequence[int], rule: str) -> Iterator[str]:
        line = rule * (sum(self.widths) + len(GAP) * (len(self.widths) - 1))
        titles, *rows = self.rows
        height = max(map(len, titles))
        yield from self.joined([[""] * (height - len(title)) + title for title in titles])
        yield line
        for i, row in enumerate(rows):
            if i in rules:
                yield line
            yield from self.joined(row)

    def joined(self, cells: list[list[str]]) -> Iterator[str]:
        for texts in zip_longest(*cells, fillvalue=""):
            padded = (
                " " * (width - cell_len(text)) + text if right else text + " " * (width - cell_len(text))
                for text, width, right in zip(texts, self.widths, self.right, strict=True)
            )
            yield GAP.join(padded).rstrip()


class Grid:
    """A table of escaped text that is not laid out yet."""

    def __init__(self, columns: Sequence[Column], titles: list[str], rows: list[list[str]]) -> None:
        self.columns, self.titles, self.rows = columns, titles, rows
        self.cells = [[row[column] for row in rows] for column in range(len(columns))]
        self.widest = [max(map(cell_len, (title, *of))) for title, of in zip(titles, self.cells, strict=True)]
        self.least = list(map(self.least_of, range(len(columns))))

    def least_of(self, column: int) -> int:
        """Cells that a column needs: of a number all, of text the longest word, of names only their title's."""
        words = self.titles[column].split(" ")
        if self.columns[column].kind == "number":
            words += self.cells[column]
        elif self.columns[column].kind == "text":
            words += (word for cell in self.cells[column] for word in cell.split(" "))
        return max(map(cell_len, words))

    def fit(self, width: int | None) -> Layout:
        """The layout that shows most in ``width`` cells."""
        every = list(range(len(self.columns)))
        if width is None:
            return self.layout(every, self.widest, {})
        fewer = list(self.fewer(every))
        for chosen, lines in [*((chosen, FEW) for chosen in fewer), (fewer[-1], MOST)]:
            if (widths := self.widths(chosen, width, lines)) is not None:
                return self.layout(chosen, widths, {})
        enough = (chosen for chosen in fewer if self.room(chosen, width) >= NARROW)
        return self.numbered(next(enough, fewer[-1]), width)

    def fewer(self, chosen: list[int]) -> Iterator[list[int]]:
        """All columns, then without the least important one, and so on; those of rank 0 stay."""
        while True:
            yield chosen
            rank = max(self.columns[column].rank for column in chosen)
            if not rank:
                return
            last = max(column for column in chosen if self.columns[column].rank == rank)
            chosen = [column for column in chosen if column != last]

    def of_kind(self, chosen: list[int], kind: str) -> list[int]:
        return [column for column in chosen if self.columns[column].kind == kind]

    def spare(self, chosen: list[int], width: int) -> int:
        """Cells that are left when every column has what it needs."""
        return width - len(GAP) * (len(chosen) - 1) - sum(self.least[column] for column in chosen)

    def room(self, chosen: list[int], width: int) -> int:
        """Cells for each column of names when all others have what they need."""
        names = self.of_kind(chosen, "name")
        return (self.spare(chosen, width) + sum(self.least[column] for column in names)) // max(1, len(names))

    def widths(self, chosen: list[int], width: int, most: int) -> list[int] | None:
        """Widths at which every name folds into at most so many lines; None where there are none."""
        found = {column: self.least[column] for column in chosen}
        for column in self.of_kind(chosen, "name"):
            short = min(self.widest[column], SHORT) if most == FEW else 0
            found[column] = max(found[column], short, self.fold_width(column, most))
        spare = self.spare(chosen, width) - sum(found[column] - self.least[column] for column in chosen)
        if spare < 0:
            return None
        for kind in ("text", "name", "number"):
            alike = sorted(self.of_kind(chosen, kind), key=lambda column: self.widest[column] - found[column])
            for i, column in enumerate(alike):
                taken = min(self.widest[column] - found[column], spare // (len(alike) - i))
                found[column], spare = found[column] + taken, spare - taken
        return list(found.values())

    def fold_width(self, column: int, most: int) -> int:
        """The least width at which every name of a column folds into at most ``most`` lines."""

        def enough(width: int) -> bool:
            return all((lines := fold(cell, width, "name")) and len(lines) <= most for cell in self.cells[column])

        return bisect_left(range(self.widest[column]), True, key=enough)

    def numbered(self, chosen: list[int], width: int) -> Layout:
        """Names that do not fold into the room there is as numbers, the same name the same number."""
        room, key = self.room(chosen, width), dict[str, str]()
        names = self.of_kind(chosen, "name")
        for cell in (row[column] for row in self.rows for column in names):
            lines = fold(cell, room, "name")
            if cell not in key and (lines is None or len(lines) > MOST):
                key[cell] = f"[{len(key) + 1}]"
        rows = [[key.get(cell, cell) if i in names else cell for i, cell in enumerate(row)] for row in self.rows]
        short = Grid(self.columns, self.titles, rows)
        return short.layout(chosen, short.widths(chosen, width, MOST) or [short.widest[i] for i in chosen], key)

    def layout(self, chosen: list[int], widths: list[int], key: dict[str, str]) -> Layout:
        """Every cell in lines of its column's width."""
        kinds = [self.columns[column].kind for column in chosen]
        rows = [
            [
                fold(row[column], width, kind) or [row[column]]
                for column, width, kind in zip(chosen, widths, kinds, strict=True)
            ]
            for row in self.rows
        ]
        titles = [fold(self.titles[column], width, "text") or [] for column, width in zip(chosen, widths, strict=True)]
        left_out = [column for column in range(len(self.columns)) if column not in chosen]
        return Layout([titles, *rows], widths, [kind == "number" for kind in kinds], left_out, key)
