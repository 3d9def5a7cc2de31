"""Adapters: a table of those that pass the facets, and one by itself."""

from __future__ import annotations

import numpy as np

from ...queries.kept import Listed
from ...reports.html.document import left_out, modules
from ...reports.html.tables import adapter_sheet
from ..view import View
from .facets import adapter_facets, label_names
from .page import Asked, Document, field, names_of, paged, records, sorting

NEAREST = 8
NEAR = {
    "holds": ("source", "captured"),
    "held": ("target", "captured"),
    "cosine": ("source", "cosine"),
}  # by what an adapter's neighbours are found: its end of the pair, and the number


def adapters(asked: Asked) -> Document:
    view, address = asked.view, asked.address
    facets = adapter_facets(view, address)
    heads = [head for head in adapter_sheet(view.summaries).heads if head.key != "task" or view.labels.task]
    extra = [name for name in label_names(view) if name != "task"]
    columns = [*(head.key for head in heads), *extra]
    order, down = sorting(address, columns, "adapter", ("adapter",))
    total = view.database.one(f"SELECT count(*) FROM adapters WHERE {facets.condition}", facets.parameters)
    start, paging = paged(address, total)
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in columns}
    rows = view.database.frame(
        f"SELECT place, {', '.join(quoted.values())} FROM adapters WHERE {facets.condition} "
        f"ORDER BY {quoted[order]} {'DESC' if down else 'ASC'} NULLS LAST, place LIMIT ? OFFSET ?",
        [*facets.parameters, paging["per"], start],
    )
    shown = [{"key": head.key, "title": head.title, "format": head.form} for head in heads]
    return {
        **names_of(view, rows["place"]),
        "form": facets.fields,
        "columns": [*shown, *({"key": name, "title": name, "format": "text"} for name in extra)],
        "rows": records(rows.to_dict("records")),
        "sorted": {"key": order, "down": down},
        "paging": paging,
    }


def adapter(asked: Asked) -> Document:
    view = asked.view
    name = asked.address.text("name") or view.names[0]
    i = view.at(name)
    near = {which: nearest(view, i, *by) for which, by in NEAR.items()}
    some = np.array([i])
    for array in ("spectrum", "norm", "participation"):
        asked.arrays.add(f"adapters.{array}", view.dataset[array].isel(source=some).values, "f32")
    labels = {column: {str(i): view.labels.of(column, name)} for column in view.labels.columns}
    others = [one["j"] for found in near.values() for one in found]
    return {
        **names_of(view, [i, *others]),
        "form": [field("name", "Adapter", name, kind="adapter")],
        "adapter": i,
        "held": [i],
        "modules": modules(view.dataset),
        "nearest": near,
        "left_out": left_out(view.dataset),
        "cautions": [one for one in view.cautions if one["adapter"] == i],
        "labels": labels,
        "methods": {"hashes": {str(i): view.hashes[i]}},
    }


def nearest(view: View, i: int, end: str, number: str) -> list[Document]:
    """The adapters with the largest number in a pair with the i-th one at an end."""
    other = "target" if end == "source" else "source"
    if view.every_pair or isinstance(view.pairs, Listed):
        rows = view.database.frame(
            f"SELECT {other}_at AS j, {number} AS value FROM pair_rows WHERE {end}_at = ? AND {number} IS NOT NULL "
            f"ORDER BY value DESC, j LIMIT {NEAREST}",
            [i],
        )
        return [{"j": int(j), "value": float(value)} for j, value in rows.itertuples(index=False)]
    rest = np.delete(np.arange(len(view.names)), i)
    ends = (np.full_like(rest, i), rest)
    values = view.pairs.at(*(ends if end == "source" else ends[::-1]), [number])[number]
    order = np.argsort(-np.nan_to_num(values, nan=-2.0), kind="stable")[:NEAREST]
    return [{"j": int(rest[at]), "value": float(values[at])} for at in order if not np.isnan(values[at])]
