"""Verdicts: a sentence a pair, of those that pass the facets."""

from __future__ import annotations

from typing import get_args

from ...reports.html.document import pairs
from ...results.direction import Verdict
from ..view import View
from .facets import FIRST, Facets, pair_facets
from .page import Asked, Document, field, names_of, paged, sorting

ORDERS = ("captured", "captured_back", "rec", "rec_z", "q", "cosine", "excess", "l1")
RISING = ("q", "l1")
SCANNED = 300  # pairs among which a verdict is looked for
PER_PAGE = 20
WARNED = "with a warning"
VERDICTS = (WARNED, *get_args(Verdict))


def verdicts(asked: Asked) -> Document:
    view, address = asked.view, asked.address
    facets = pair_facets(view, address)
    order, down = sorting(address, ORDERS, "captured", RISING)
    verdict = address.choice("verdict", VERDICTS)
    total = view.database.one(f"SELECT count(*) FROM pair_rows WHERE {FIRST} AND {facets.condition}", facets.parameters)
    start, paging = paged(address, min(total, SCANNED) if verdict else total, PER_PAGE)
    scan = (0, SCANNED) if verdict else (start, PER_PAGE)
    rows = view.rows(ends_of(view, facets, order, down, *scan))
    found = view.details(rows)
    documents = pairs(view.dataset, rows, found, asked.arrays, by_module=False)[::2]
    if verdict:
        documents = [one for one in documents if (one["warnings"] if verdict == WARNED else one["verdict"] == verdict)]
        start, paging = paged(address, len(documents), PER_PAGE)
        documents = documents[start : start + PER_PAGE]
    kinds = [("", "every verdict"), *((one, one) for one in VERDICTS)]
    fields = [
        *facets.fields,
        field("verdict", f"Verdict (of the first {SCANNED})", verdict, options=kinds),
        field("order", "Order", order, options=[(one, one) for one in ORDERS]),
        field("way", "", "down" if down else "up", options=[("down", "largest first"), ("up", "smallest first")]),
    ]
    return {
        **names_of(view, [one[end] for one in documents for end in ("source", "target")]),
        "form": fields,
        "pairs": documents,
        "paging": paging,
        "every_pair": view.every_pair,
    }


def ends_of(view: View, facets: Facets, order: str, down: bool, start: int, count: int) -> list[tuple[int, int]]:
    """Positions of the pairs of some rows, the direction that holds more."""
    rows = view.database.frame(
        f"SELECT source_at, target_at FROM pair_rows WHERE {FIRST} AND {facets.condition} "
        f"ORDER BY {order} {'DESC' if down else 'ASC'} NULLS LAST, source_at, target_at LIMIT ? OFFSET ?",
        [*facets.parameters, count, start],
    )
    return [(int(i), int(j)) for i, j in rows.itertuples(index=False)]
