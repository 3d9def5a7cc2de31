"""``taskvec report``: a result as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable


def report(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT.zarr", help="A result of taskvec sweep.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="REPORT.html", help="The file to write.", show_default=False)
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file at REPORT.html.")] = False,
) -> None:
    """A result as one HTML file that opens offline: verdicts, the matrix of all pairs, each pair by itself."""
    from ..reports.html.report import report

    print(f"written to {printable(str(report(result, out, overwrite=overwrite)))}")
