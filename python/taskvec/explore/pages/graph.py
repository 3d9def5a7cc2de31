"""The inclusion graph: the strongest pairs that pass the facets as edges."""

from __future__ import annotations

from ..view import View
from .facets import FIRST, pair_facets
from .page import Asked, Document, field, names_of

EDGES = 250  # that are drawn at most
AT_FIRST = 40  # edges that the threshold leaves, where none is asked for
QUERY = """
WITH edge AS (
  SELECT source_at, target_at, captured FROM pair_rows WHERE {first} AND {condition}
  ORDER BY captured DESC NULLS LAST, source_at, target_at LIMIT {most}
)
SELECT edge.*, back.captured AS back, back.q AS q_back
FROM edge LEFT JOIN pair_rows AS back ON back.source_at = edge.target_at AND back.target_at = edge.source_at
ORDER BY edge.captured DESC NULLS LAST, edge.source_at, edge.target_at
"""


def graph(asked: Asked) -> Document:
    view, address = asked.view, asked.address
    if not address.text("captured"):
        address = type(address)(address.page, {**address.given, "captured": str(first_threshold(view))})
    facets = pair_facets(view, address)
    fold = address.choice("fold", ("yes", "no"), "yes") == "yes"
    condition = f"captured > 0 AND {facets.condition}"
    count = view.database.one(f"SELECT count(*) FROM pair_rows WHERE {FIRST} AND {condition}", facets.parameters)
    rows = view.database.frame(QUERY.format(first=FIRST, condition=condition, most=EDGES), facets.parameters)
    least, most = address.number("captured", 0, 0, 1), address.number("q", None, 0, 1)
    rows["both"] = (rows["back"] > 0) & (rows["back"] >= least) & (True if most is None else rows["q_back"] <= most)
    edges = [
        {"from": int(row.source_at), "to": int(row.target_at), "captured": float(row.captured), "both": bool(row.both)}
        for row in rows.itertuples()
    ]
    return {
        **names_of(view, [*rows["source_at"], *rows["target_at"]]),
        "form": [
            *facets.fields,
            field("fold", "Transitive edges", "yes" if fold else "no", options=[("yes", "folded"), ("no", "all")]),
        ],
        "fold": fold,
        "edges": edges,
        "passing": int(count),
        "every_pair": view.every_pair,
    }


def first_threshold(view: View) -> float:
    """A share that some AT_FIRST pairs have."""
    most = max(5, min(AT_FIRST, len(view.names)))
    query = f"SELECT captured FROM pair_rows WHERE {FIRST} AND captured > 0 ORDER BY captured DESC LIMIT {most}"
    found = view.database.frame(query)["captured"]
    return round(int(float(found.iloc[-1]) ** 0.5 * 100) ** 2 / 1e4, 4) if len(found) else 0.0
