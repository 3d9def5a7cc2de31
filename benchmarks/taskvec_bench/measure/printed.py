"""Rows as a table that fits the terminal, by the renderer of ``taskvec``'s commands."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from taskvec.cli.common import print_parts
from taskvec.reports.tables import Column, Table

from .rows import Row

SHOWN = {"min": "ms (min)", "median": "median", "share_of_matmul": "of matmul", "share_of_copy": "of copy"}
SHOWN |= {"peak_memory": "peak MiB"}


def print_rows(rows: Sequence[Row], width: int | None) -> None:
    print_parts([table(rows)], width)


def table(rows: Sequence[Row]) -> Table:
    """A row for each case and, by time, one for each of its providers; a star where it computes something else."""
    found = Table([Column("", "name"), *(Column(title, rank=rank) for rank, title in enumerate(SHOWN.values()))])
    for case, group in groupby(rows, key=lambda row: row["case"]):
        if found.rows:
            found.rule()
        found.add(case)
        for row in sorted(group, key=lambda row: row["min"]):
            shown = row | {"min": row["min"] * 1e3, "median": row["median"] * 1e3}
            cells = ("-" if shown[key] is None else format(shown[key], ".4g") for key in SHOWN)
            found.add(f"  {row['provider']}{'*' * bool(row['computes'])}", *cells)
    found.notes += dict.fromkeys(f"* {row['provider']}: {row['computes']}" for row in rows if row["computes"])
    return found
