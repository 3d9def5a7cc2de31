"""What the commands share: their options, and how they print."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..documents import null_for_nan
from ..errors import printable
from ..progress import Mode

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_COLUMNS = 200

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH",
        help="Adapters (folder or weights file), folders of them, BASE..TUNED for full fine-tunes.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Recursive = Annotated[bool, typer.Option("--recursive", help="Also read checkpoint-N inside adapters' folders.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out adapters that cannot be read, with a warning that names each.")
]
Backend = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Force a backend; taskvec env lists them.", show_default="the fastest"),
]
Precision = Annotated[
    Literal["highest", "high", "medium"], typer.Option(help="Precision of the matrix products, as in torch.")
]
Progress = Annotated[Mode, typer.Option(help="Progress on stderr: a bar on a terminal, nothing, or JSON lines.")]


def print_json(document: Any) -> None:
    """One strict JSON document on stdout: NaN and infinities are null."""
    json.dump(null_for_nan(document), sys.stdout, allow_nan=False, indent=2)
    print()


def warn(messages: Iterable[str]) -> None:
    """One line on stderr for each message."""
    for message in messages:
        print(f"taskvec: warning: {printable(message)}", file=sys.stderr)


def console() -> Console:
    """The console for tables; wide enough not to fold when stdout is not a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False, markup=False, emoji=False)


def table(columns: Iterable[str], rows: Iterable[Iterable[str]], *, numbers: Iterable[str] = ()) -> Table:
    """A table of plain strings, escaped for the terminal; the columns in ``numbers`` are aligned right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    right = set(numbers)
    for column in columns:
        is_number = column in right
        result.add_column(column, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows:
        result.add_row(*(Text(printable(cell)) for cell in row))
    return result


def number(value: float | None, format: str = ".3g") -> str:
    """A number for a table; a dash for what is undefined."""
    return "-" if value is None or math.isnan(value) else f"{value:{format}}"
