"""``taskvec query ZOO --like NEW``: which adapters of a store, or of a result, hold a new one, and it them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import print_json, print_parts

if TYPE_CHECKING:
    from ..store.factors import Factors


def like(store: Path, new: Path, *, top: int, as_json: bool, reading: dict[str, Any], width: int | None = None) -> None:
    """The pairs of a new adapter with all of a store or a result, the one that holds most first."""
    from ..queries.details import details
    from ..queries.selection import Selection, select
    from ..reports.documents import sweep_document
    from ..reports.ranking import ranking_table
    from ..sources import load_adapter
    from ..sweeps.like import like as compare

    dataset = compare(compared(store), load_adapter(new, **reading), progress="auto")
    selected = select(dataset, Selection(top=top))
    left = len(dataset["source"]) - 1 - min(top, len(selected.rows) // 2)
    first = replace(selected, rows=selected.rows.iloc[: 2 * top], gap=None, between=left, filtered=0, absent=0)
    found = details(dataset, first.rows)
    if as_json:
        print_json(sweep_document(dataset, store, [(0.0, first, found)]))
    else:
        print_parts([ranking_table(first, found), f"{left:,} more adapters not shown."], width)


def compared(store: Path) -> Path | Factors:
    """What a result was swept from; anything else stays what it is."""
    from ..storage import open_storage
    from ..sweeps.inputs import as_factors
    from ..sweeps.output import stored
    from ..sweeps.repair import read_again

    plan = stored(open_storage(store))
    return store if plan is None else as_factors(read_again(store, dict(plan.inputs or {}), "auto"))
