"""Overview: what the result is, how its numbers lie, and where to begin."""

from __future__ import annotations

from collections import Counter

from ...reports.html.document import summary
from .facets import FIRST
from .page import Asked, Document, names_of, records

BINS = 20
STRONGEST = 10
HISTOGRAM = f"""
SELECT least(floor(sqrt(captured) * {BINS}), {BINS - 1})::INT AS bin, count(*) AS pairs
FROM pair_rows WHERE captured IS NOT NULL GROUP BY bin ORDER BY bin
"""
TOP = f"""
SELECT source_at, target_at, captured, captured_back, q, rec FROM pair_rows WHERE {FIRST}
ORDER BY captured DESC NULLS LAST, source_at, target_at LIMIT {STRONGEST}
"""


def overview(asked: Asked) -> Document:
    view = asked.view
    counts = dict(view.database.frame(HISTOGRAM).itertuples(index=False))
    top = view.database.frame(TOP)
    N = len(view.names)
    held = view.database.one("SELECT count(*) FROM pair_rows")
    every = N * (N - 1)
    kinds = Counter(one["text"].split(":")[0] for one in view.cautions)
    return {
        **names_of(view, [*top["source_at"], *top["target_at"]]),
        "summary": summary(view.dataset),
        "pairs_held": int(held),
        "pairs_all": every,
        "keep": str(view.dataset.attrs.get("keep", "all")),
        "sigma0": view.significance.sigma0,
        "discoveries": view.database.one(f"SELECT count(*) FROM pair_rows WHERE q <= 0.05 AND {FIRST}"),
        # bins of the root of the share, so that small ones differ to the eye
        "histogram": [[(at / BINS) ** 2, int(counts.get(at, 0))] for at in range(BINS)],
        "top": records(top.to_dict("records")),
        "caution_counts": [[kind, count] for kind, count in kinds.most_common(12)],
        "answers": len(asked.live.answers),
    }
