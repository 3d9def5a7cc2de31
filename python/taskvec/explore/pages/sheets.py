"""Tables: every ordered pair that passes the facets, and the paper's."""

from __future__ import annotations

from ...reports.html.paper import missing
from ..live import NotReadYetError
from .facets import pair_facets
from .page import Asked, Document, names_of, paged, records, sorting

FORMS = {
    "captured": "percent", "captured_out": "percent", "captured_in": "percent", "captured_back": "percent",
    "rec": "f3", "rec_chance": "f3", "rec_z_raw": "short", "rec_z": "short", "p": "short", "q": "short", "l1": "short",
    "excess": "short", "cosine": "s3", "used": "whole",
}  # fmt: skip
RISING = ("p", "q", "l1", "source", "target")


def pairs(asked: Asked) -> Document:
    view, address = asked.view, asked.address
    facets = pair_facets(view, address)
    order, down = sorting(address, ("source", "target", *FORMS), "captured", RISING)
    total = view.database.one(f"SELECT count(*) FROM pair_rows WHERE {facets.condition}", facets.parameters)
    start, paging = paged(address, total)
    names = order in ("source", "target")
    table, key = ("pairs", order) if names else ("pair_rows", order)
    rows = view.database.frame(
        f"SELECT source_at, target_at, {', '.join(FORMS)} FROM {table} WHERE {facets.condition} "
        f"ORDER BY {key} {'DESC' if down else 'ASC'} NULLS LAST, source_at, target_at LIMIT ? OFFSET ?",
        [*facets.parameters, paging["per"], start],
    )
    return {
        **names_of(view, [*rows["source_at"], *rows["target_at"]]),
        "form": facets.fields,
        "columns": [{"key": name, "title": name, "format": form} for name, form in FORMS.items()],
        "rows": records(rows.to_dict("records")),
        "sorted": {"key": order, "down": down},
        "paging": paging,
        "every_pair": view.every_pair,
    }


def tables(asked: Asked) -> Document:
    if not asked.view.is_ready("paper"):
        raise NotReadYetError
    sheets = asked.view.paper
    return {"tables": [sheet.document() for sheet in sheets], "no_tables": missing(sheets)}
