"""One pair: both directions, its modules along the layers, spectra."""

from __future__ import annotations

import numpy as np

from ...queries.kept import of_dims
from ...reports.html.document import OF_MODULE, modules, pairs
from .page import Asked, Document, field, names_of

STRONGEST = "SELECT source_at, target_at FROM pair_rows ORDER BY captured DESC NULLS LAST, source_at, target_at LIMIT 1"


def pair(asked: Asked) -> Document:
    view, address = asked.view, asked.address
    ends = [address.text(end) for end in ("source", "target")]
    if not all(ends):
        found = view.database.frame(STRONGEST)
        first = found.iloc[0].tolist() if len(found) else [0, 1]
        ends = [one or view.names[int(other)] for one, other in zip(ends, first, strict=True)]
    i, j = (view.at(name) for name in ends)
    form = [field("source", "Source", ends[0], kind="adapter"), field("target", "Target", ends[1], kind="adapter")]
    document = {**names_of(view, [i, j]), "form": form, "ends": [i, j], "pairs": []}
    if i == j:
        return document
    rows = view.rows([(i, j)])
    found = pairs(view.dataset, rows, view.details(rows), asked.arrays)
    held = sorted({i, j})
    spectrum = view.dataset["spectrum"].isel(source=np.array(held)).values  # [L, 2, k]
    asked.arrays.add("adapters.spectrum", spectrum, "f32")
    metrics = [name for name in OF_MODULE if name in of_dims(view.dataset, ("module", "source", "target"))]
    return {**document, "pairs": found, "pair_metrics": metrics, "held": held, "modules": modules(view.dataset)}
