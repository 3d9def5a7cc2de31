"""Rows as CSV or Parquet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import TaskvecError
from ..reports.places import check_file

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write all rows as CSV; - is stdout.", show_default=False)
]
Parquet = Annotated[
    Path | None, typer.Option("--parquet", metavar="FILE", help="Write all rows as Parquet.", show_default=False)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


def check_files(*paths: Path | None, overwrite: bool) -> None:
    """TaskvecError, before any work, for a file that must not or cannot be written; ``-`` is stdout."""
    for path in paths:
        if path is not None and str(path) != "-":
            check_file(path, overwrite=overwrite)


def write_rows(rows: pd.DataFrame, csv: Path | None, parquet: Path | None) -> None:
    """Undefined numbers are empty in CSV, and null in Parquet."""
    if csv is not None:
        rows.to_csv(sys.stdout if str(csv) == "-" else csv, index=False)
    if parquet is not None:
        try:
            rows.to_parquet(parquet, index=False)
        except ImportError as error:
            raise TaskvecError("pyarrow is not installed", fix="pip install pyarrow, or write --csv") from error
