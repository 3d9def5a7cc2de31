"""Which pairs are shown: facets of an address as a condition of SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import printable
from ..address import Address
from ..tables import label_columns
from ..view import View
from .page import Document, field

MOST_OPTIONS = 200  # of a label, in a choice
# the direction that holds more stands for the two
FIRST = """
(coalesce(captured, -1) > coalesce(captured_back, -1)
 OR (coalesce(captured, -1) = coalesce(captured_back, -1) AND source_at < target_at))
"""


@dataclass(frozen=True)
class Facets:
    """A condition on ``pair_rows`` or ``adapters`` with its parameters, and the fields that make it."""

    condition: str
    parameters: list[Any]
    fields: list[Document]


def adapter_facets(view: View, address: Address) -> Facets:
    """Of adapters: words of their names, and labels."""
    conditions, parameters, fields = ["true"], [], []
    words = address.text("find")
    fields.append(field("find", "Name contains", words))
    if words:
        conditions.append("contains(lower(adapter), lower(?))")
        parameters.append(words)
    for name in label_names(view):
        value = address.text(name)
        column = '"' + name.replace('"', '""') + '"'
        found = view.database.frame(
            f"SELECT DISTINCT {column} AS one FROM adapters WHERE {column} <> '' ORDER BY one LIMIT {MOST_OPTIONS}"
        )["one"]
        options = [("", "any"), *((one, printable(one)) for one in found.tolist())]
        fields.append(field(name, printable(name), value, options=options))
        if value:
            conditions.append(f"{column} = ?")
            parameters.append(value)
    return Facets(" AND ".join(conditions), parameters, fields)


def pair_facets(view: View, address: Address) -> Facets:
    """Of pairs: those of adapters for either end, names of the ends, a least captured, a most q, tasks."""
    of = adapter_facets(view, address)
    conditions, parameters, fields = [], [], [*of.fields]
    if of.parameters:
        some = f"(SELECT place FROM adapters WHERE {of.condition})"
        conditions.append(f"(source_at IN {some} OR target_at IN {some})")
        parameters += of.parameters * 2
    for end in ("source", "target"):
        name = address.text(end)
        fields.append(field(end, end.capitalize(), name, kind="adapter"))
        if name:
            conditions.append(f"{end}_at = ?")
            parameters.append(view.at(name))
    least = address.number("captured", None, 0, 1)
    fields.append(field("captured", "Captured of at least", least, kind="number"))
    if least is not None:
        conditions.append("captured >= ?")
        parameters.append(least)
    most = address.number("q", None, 0, 1)
    fields.append(field("q", "q of at most", most, kind="number"))
    if most is not None:
        conditions.append("q <= ?")
        parameters.append(most)
    if view.labels.task:
        same = address.choice("same", ("task", "other"))
        options = [("", "any"), ("task", "of one task"), ("other", "of two tasks")]
        fields.append(field("same", "Pairs", same, options=options))
        if same:
            task = "(SELECT task FROM adapters WHERE place = {}_at)"
            one, other = task.format("source"), task.format("target")
            conditions.append(f"{one} <> '' AND {other} <> '' AND {one} {'=' if same == 'task' else '<>'} {other}")
    return Facets(" AND ".join(conditions) or "true", parameters, fields)


def label_names(view: View) -> list[str]:
    """Columns of ``adapters`` that labels give."""
    taken = {"place", "sha256", *map(str, view.summaries.columns)}
    return [*(["task"] if view.labels.task else []), *label_columns(view.labels, dict.fromkeys(taken)).values()]
