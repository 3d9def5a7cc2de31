"""What the commands share: their options, and how they print."""

from __future__ import annotations

import json
import locale
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..documents import null_for_nan
from ..errors import printable
from ..progress import Mode

if TYPE_CHECKING:
    from ..reports.tables import Part

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH",
        help="Adapters (folder or weights file), folders of them, BASE..TUNED for full fine-tunes.",
        show_default=False,
    ),
]
Result = Annotated[Path, typer.Argument(metavar="RESULT.zarr", help="A result of taskvec sweep.", show_default=False)]
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

Width = Annotated[
    int | None,
    typer.Option(
        min=20,
        metavar="N",
        help="Fit tables into N columns.",
        show_default="COLUMNS, the terminal's, no limit in a pipe",
    ),
]


def print_json(document: Any) -> None:
    """One strict JSON document on stdout: NaN and infinities are null."""
    json.dump(null_for_nan(document), sys.stdout, allow_nan=False, indent=2)
    print()


def warn(messages: Iterable[str]) -> None:
    """One line on stderr for each message."""
    for message in messages:
        print(f"taskvec: warning: {printable(message)}", file=sys.stderr)


def print_parts(parts: Iterable[Part], width: int | None) -> None:
    """Tables and paragraphs on stdout, in the columns that there are."""
    from ..reports.terminal import render

    sys.stdout.write(render(parts, columns(width), ascii_only=ascii_only()))


def say(*lines: str) -> None:
    """Paragraphs on stdout."""
    print_parts(lines, None)


def columns(width: int | None) -> int | None:
    """Columns of a line: those asked for, COLUMNS, the terminal's; None for a pipe, where lines stay whole."""
    given = os.environ.get("COLUMNS", "")
    if width is not None or (given.isdecimal() and int(given)):
        return width or int(given)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def ascii_only() -> bool:
    """Whether stdout, or the locale that the user chose, has no more than ASCII."""
    encodings = locale.nl_langinfo(locale.CODESET), sys.stdout.encoding or "utf-8"
    return not all("utf" in encoding.lower() for encoding in encodings)
