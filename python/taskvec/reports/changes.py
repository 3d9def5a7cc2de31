"""The tables of ``taskvec diff``."""

from __future__ import annotations

from ..queries.changes import Changes
from .tables import Column, Part, Table, Value, cells, columns_of, counted

VALUES = (
    Value("captured", "captured", ".4f"),
    Value("before", "captured_before", ".4f", 1),
    Value("change", "captured_change", "+.4f"),
    Value("REC", "rec", ".3f", 2),
    Value("before", "rec_before", ".3f", 3),
    Value("change", "rec_change", "+.3f", 2),
)


def changes_parts(found: Changes, by: float, top: int) -> list[Part]:
    """Adapters that came, went and changed, and the pairs that moved most."""
    parts: list[Part] = []
    for what, names in (("added", found.added), ("removed", found.removed), ("changed", found.changed)):
        parts.append(f"{what}: {', '.join(names) or 'none'}")
    moved = found.moved(by)
    if not len(moved):
        return [*parts, f"Of {counted(len(found.pairs), 'pair')} in both, none moved by more than {by:g}."]
    table = Table([Column("source", "name"), Column("target", "name"), *columns_of(VALUES)])
    table.title = f"{len(moved)} of {counted(len(found.pairs), 'pair')} in both moved by more than {by:g} in captured"
    for row in moved.head(top).to_dict("records"):
        table.add(row["source"], row["target"], *cells(row, VALUES))
    if len(moved) > top:
        table.notes.append(f"{counted(len(moved) - top, 'pair')} after these not shown.")
    return [*parts, table]
