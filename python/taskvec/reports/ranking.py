"""The table of a sweep: one row a pair, the direction that holds more."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TaskvecError
from ..queries.details import Details
from ..queries.flags import meaning
from ..queries.selection import Selected
from .tables import Column, Part, Table, counted, shown, with_lambda


@dataclass(frozen=True)
class Shown:
    """A column of the table, its value of a row of the ranking with its details, and a format for numbers."""

    column: Column
    value: Callable[[Mapping[str, Any], Any], Any]
    form: str = ""

    def cell(self, row: Mapping[str, Any], details: Details | None = None) -> str:
        """Columns that the row has by itself need no details."""
        value = self.value(row, details)
        return shown(float(value), self.form) if self.form not in ("", "d") else str(value)


def of_row(title: str, name: str, form: str, rank: int) -> Shown:
    return Shown(Column(title, rank=rank), lambda row, details: row[name], form)


def of_end(name: str) -> Shown:
    return Shown(Column(name, "name"), lambda row, details: row[name])


def of_layers(title: str, name: str, form: str, rank: int) -> Shown:
    return Shown(Column(title, rank=rank), lambda row, details: getattr(details.other_layers["captured"], name), form)


COLUMNS = {
    "source": of_end("source"),
    "target": of_end("target"),
    "captured": of_row("captured", "captured", ".4f", 0),
    "captured_back": of_row("the other way", "captured_back", ".4f", 1),
    "other_layers": of_layers("other layers", "mean", ".4f", 4),
    "other_layers_t": of_layers("t", "t", "+.1f", 6),
    "captured_out": of_row("out", "captured_out", ".4f", 9),
    "captured_in": of_row("in", "captured_in", ".4f", 9),
    "p": of_row("p", "p", ".2g", 8),
    "q": of_row("q", "q", ".2g", 5),
    "rec": of_row("REC", "rec", ".3f", 3),
    "rec_chance": of_row("chance", "rec_chance", ".3f", 6),
    "rec_z_raw": of_row("z_S", "rec_z_raw", "+.1f", 9),
    "rec_z": of_row("z", "rec_z", "+.1f", 8),
    "l1": of_row("L1", "l1", ".3g", 8),
    "excess": of_row("excess", "excess", ".3g", 8),
    "cosine": of_row("cosine", "cosine", "+.3f", 6),
    "used": of_row("modules", "used", "d", 7),
    "verdict": Shown(
        Column("verdict", "text", 1), lambda row, details: details.direction.words(row["source"], row["target"])
    ),
    "flags": Shown(Column("flags", "text", 2), lambda row, details: ", ".join(details.flags)),
}
SHOWN = (
    "source", "target", "captured", "captured_back", "other_layers", "q", "rec", "rec_chance", "used", "flags",
)  # fmt: skip
TITLE = "How much of each target lies inside each source"
NOTES = {
    "captured": "captured: the share of the target's update that lies in the source's directions, over all modules; "
    "the other way: with the two exchanged.",
    "other_layers": "other layers: captured when the target's layers change places; -: not computed.",
    "rec": "REC: overlap of the two normalised spectra, a shape and no amount; chance: its mean over random signs.",
}


def check_columns(names: Sequence[str]) -> tuple[str, ...]:
    """TaskvecError for a column that there is not."""
    for name in names:
        if name not in COLUMNS:
            raise TaskvecError(f"no column {name!r}", expected=f"names among {', '.join(COLUMNS)}")
    return tuple(names)


def ranking_table(
    selected: Selected, details: Sequence[Details], columns: Sequence[str] = SHOWN, lam: float = 0.0
) -> Part:
    """The selected pairs of one λ, a row for the direction that comes first in their order.

    Args:
        selected: from ``select``.
        details: of its rows.
        columns: names among COLUMNS.
        lam: λ of the ranking.
    """
    if not (len(selected.rows) or selected.filtered or selected.apart or selected.absent):
        return "One adapter: there are no pairs to rank."
    flags = dict.fromkeys(flag for one in details[::2] for flag in one.flags) if "flags" in columns else {}
    chosen = [COLUMNS[name] for name in columns if name != "flags" or flags]
    of_group = f", of {selected.group}" if selected.group else ""
    table = Table([one.column for one in chosen], TITLE + of_group + with_lambda(lam))
    rows = selected.rows.to_dict("records")
    for i in range(0, len(rows), 2):
        if selected.gap is not None and i == 2 * selected.gap:
            table.add(*("⋮" for _ in chosen[:2]))
        table.add(*(one.cell(rows[i], details[i]) for one in chosen))
    notes = table.notes
    notes += [note for name, note in NOTES.items() if name in columns]
    if "q" in columns:
        notes.append(q_note(rows, lam))
    notes += [f"{flag}: {meaning(flag)}." for flag in flags]
    notes += left_out(selected)
    return table


def q_note(rows: Sequence[Mapping[str, Any]], lam: float) -> str:
    sigma0 = rows[0]["sigma0"] if rows else math.nan
    if not math.isnan(sigma0):
        return (
            f"q: rate of false discoveries at which REC is above its chance, with σ₀ = {sigma0:.2f}. "
            "It cannot exclude directions that all these adapters share: other layers and σ₀ speak of them."
        )
    if lam and math.isnan(rows[0]["rec_chance"] if rows else math.nan):
        return "q: with λ > 0 there is no chance value to compare with."
    return "q: no σ₀, since fewer than 50 pairs lie below chance."


def left_out(selected: Selected) -> list[str]:
    """What the table does not show."""
    notes = []
    if selected.gap is not None:
        notes.append(f"{counted(selected.between, 'pair')} between the {selected.gap} at each end left out.")
    if selected.filtered:
        notes.append(f"{counted(selected.filtered, 'pair')} below --min-captured or above --max-q not shown.")
    if selected.apart:
        notes.append(f"{counted(selected.apart, 'pair')} of adapters without a module in common not shown.")
    if selected.absent:
        notes.append(f"{counted(selected.absent, 'pair')} that the result does not keep: they are absent, not 0.")
    return notes
