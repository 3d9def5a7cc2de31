"""Tables of queries: pairs of an adapter, and adapters that others hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..queries.redundancy import Redundant
from .ranking import COLUMNS, NOTES
from .tables import Column, Part, Table, counted, shown, with_lambda

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

OF_PAIR = ("source", "target", "captured", "captured_back", "rec", "rec_chance", "q", "cosine", "l1", "excess", "used")
HELD = (
    Column("keep", "name"),
    Column("holds", "name"),
    Column("captured"),
    Column("the other way", rank=1),
    Column("", "text", 2),
    Column("MB", rank=3),
)
UNITS = 1e6


def pairs_table(rows: pd.DataFrame, title: str, lam: float = 0.0, left_out: int = 0) -> Part:
    """Rows of the ranking as they come."""
    if not len(rows):
        return "No pairs."
    table = Table([COLUMNS[name].column for name in OF_PAIR], title + with_lambda(lam), notes=[NOTES["captured"]])
    for row in rows.to_dict("records"):
        table.add(*(COLUMNS[name].cell(row) for name in OF_PAIR))
    if left_out:
        table.notes.append(f"{counted(left_out, 'pair')} after these not shown.")
    return table


def redundancy_parts(groups: Sequence[Redundant], at: float, adapters: int) -> list[Part]:
    """A row for each adapter that another holds."""
    if not groups:
        return [f"No adapter holds {at:g} or more of another."]
    table = Table(HELD, f"Adapters that another holds to {at:g} or more")
    for group in groups:
        for i, one in enumerate(group.holds):
            kind = "duplicate" if one.back >= at else "inside"
            cells = shown(one.captured, ".4f"), shown(one.back, ".4f"), kind, shown(one.bytes / UNITS, ".1f")
            table.add(group.name if i == 0 else "", one.name, *cells)
        table.rule()
    held = sum(len(group.holds) for group in groups)
    saved = sum(group.saved for group in groups) / UNITS
    table.notes = [
        f"{held} of {counted(adapters, 'adapter')} can go: {saved:.1f} MB of factors as 16-bit numbers.",
        "duplicate: each holds the other; inside: only one way, so the kept one is more than what it holds.",
    ]
    return [table]
