"""Tables of the report: for the page, and as files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]

from ...errors import TaskvecError, printable
from ..places import check_folder


@dataclass(frozen=True)
class Head:
    """One column.

    Attributes:
        key: its name in the frame.
        title: for people.
        form: how the page writes it: text, whole, percent, short, f3 or s3 (signed).
        bounds: whether ``key_low`` and ``key_high`` are the ends of its interval.
    """

    key: str
    title: str
    form: str = "text"
    bounds: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key, f"{self.key}_low", f"{self.key}_high") if self.bounds else (self.key,)


@dataclass(frozen=True)
class Sheet:
    """A table: ``name`` is that of its files."""

    name: str
    title: str
    heads: Sequence[Head]
    frame: pd.DataFrame
    notes: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """For the page: columns, and rows as objects of them."""
        keys = [key for head in self.heads for key in head.keys]
        rows = [{key: cell(row[key]) for key in keys} for row in self.frame[keys].to_dict("records")]
        columns = [
            {"key": head.key, "title": head.title, "format": head.form}
            | ({"low": head.keys[1], "high": head.keys[2]} if head.bounds else {})
            for head in self.heads
        ]
        return {"name": self.name, "title": self.title, "columns": columns, "rows": rows, "notes": list(self.notes)}


def cell(value: Any) -> Any:
    """A number, or text with nothing in it that a terminal would obey."""
    return printable(value) if isinstance(value, str) else value


def check_data(folder: Path, *, overwrite: bool) -> None:
    """TaskvecError, before any work, when the tables must not be written to ``folder``."""
    if find_spec("pyarrow") is None:
        raise TaskvecError("Parquet needs pyarrow", fix="pip install 'taskvec[report]'")
    check_folder(folder, overwrite=overwrite)


def write_sheets(sheets: Iterable[Sheet], folder: Path) -> None:
    """Every table as NAME.csv and NAME.parquet; names of adapters are there as they are."""
    folder.mkdir(exist_ok=True)
    for sheet in sheets:
        sheet.frame.to_csv(folder / f"{sheet.name}.csv", index=False)
        sheet.frame.to_parquet(folder / f"{sheet.name}.parquet", index=False)
