"""The matrix: a metric of every pair, or of some adapters and modules; of many adapters by cluster or tile."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import TaskvecError
from ...queries.clustering import DISTANCE, LINKAGE
from ..address import Address
from ..cells import Ends, cells
from ..view import View
from .facets import label_names
from .page import Asked, Document, all_names, field

METRICS = ("captured", "rec", "above_chance", "cosine", "asymmetry")
SINGLE = 500  # adapters of a side that are drawn one by one: a pixel and a half each
TILES = 250  # clusters or tiles of more
NUMBERS = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class Modules:
    """Of which the matrix is: of a kind, of layers first ≤ layer < last; None: of all."""

    kind: str | None = None
    layers: tuple[int, int] | None = None


def matrix(asked: Asked) -> Document:
    view, address = asked.view, asked.address
    N = len(view.names)
    metric = address.choice("metric", METRICS, "captured")
    orders = [*(["clusters"] if view.in_memory else []), "name", "result", *label_names(view)]
    by = address.choice("by", orders, orders[0])
    spans = [address.span(name, N) for name in ("rows", "columns")]
    modules = modules_of(view, address)
    order = order_of(view, by)
    rows, columns = (ends_of(view, by, *span) for span in spans)
    values = cells(view, metric, order, rows, columns, modules.kind, modules.layers)
    asked.arrays.add("cells.values", values, "root16" if values.size > 2**16 else "f32")
    least, most = address.number("captured", None, 0, 1), address.number("q", None, 0, 1)
    if least is not None or most is not None:
        below = np.zeros(values.shape, bool)
        if least is not None:
            below |= ~(cells(view, "captured", order, rows, columns, modules.kind, modules.layers) >= least)
        if most is not None:
            below |= ~(cells(view, "q", order, rows, columns) <= most)
        asked.arrays.add("cells.below", below.astype(np.float32), "root8")
    for name, one in (("rows", rows), ("columns", columns)):
        asked.arrays.add(f"cells.{name}", one, "i32")
    asked.arrays.add("tree.order", order, "i32")
    if by == "clusters":
        asked.arrays.add("tree.merges", view.tree.merges, "i32")
        asked.arrays.add("tree.heights", view.tree.heights, "f32")
    return {
        **all_names(view),
        "form": fields(view, address, metric, by, orders, modules),
        "matrix": {"linkage": LINKAGE, "distance": DISTANCE, "by": by, "metric": metric},
        "spans": spans,
        "whole": all(span == (0, N) for span in spans),
        "what": words(modules),
    }


def fields(view: View, address: Address, metric: str, by: str, orders: list[str], modules: Modules) -> list[Document]:
    found = [
        field("metric", "Metric", metric, options=[(one, one) for one in METRICS]),
        field("by", "Order", by, options=[(one, one) for one in orders]),
    ]
    if view.every_module:
        kinds = sorted({str(kind) for kind in view.dataset["kind"].values})
        found += [
            field("kind", "Kind", modules.kind, options=[("", "all kinds"), *((one, one) for one in kinds)]),
            field("layers", "Layers a:b", address.text("layers")),
        ]
    return [
        *found,
        field("captured", "Hatched below captured", address.number("captured", None, 0, 1), kind="number"),
        field("q", "and above q", address.number("q", None, 0, 1), kind="number"),
    ]


def modules_of(view: View, address: Address) -> Modules:
    kind, layers = address.text("kind") or None, None
    if address.text("layers"):
        found = re.fullmatch(r"([0-9]*):([0-9]*)", address.text("layers"))
        if found is None:
            raise TaskvecError("layers is no range", got=repr(address.text("layers")), expected="8:16, 8: or :8")
        layers = int(found[1] or 0), int(found[2] or 2**31 - 1)
    if (kind or layers) and not view.every_module:
        raise TaskvecError("the result keeps no modules apart", fix="sweep with --keep all to ask for kinds and layers")
    return Modules(kind, layers)


def words(modules: Modules) -> str:
    if modules == Modules():
        return "the whole update"
    layers = "" if modules.layers is None else f"layers {modules.layers[0]} to {min(modules.layers[1], 10**6) - 1}"
    if modules.layers is not None and modules.layers[1] == 2**31 - 1:
        layers = f"layers from {modules.layers[0]}"
    return ", ".join(filter(None, (f"kind {modules.kind}" if modules.kind else "", layers)))


def order_of(view: View, by: str) -> NDArray[np.intp]:
    """Adapters in the order of rows and columns."""
    if by == "clusters":
        return view.tree.order
    if by == "result":
        return np.arange(len(view.names))
    names = [natural(name) for name in view.names]
    if by == "name":
        return np.array(sorted(range(len(names)), key=names.__getitem__), np.intp)
    column = '"' + by.replace('"', '""') + '"'
    labels = view.database.frame(f"SELECT {column} AS one FROM adapters ORDER BY place")["one"].fillna("").tolist()
    return np.array(sorted(range(len(names)), key=lambda i: (labels[i] == "", natural(labels[i]), names[i])), np.intp)


def natural(text: str) -> list[tuple[int, str]]:
    """A key by which 2 comes before 10."""
    parts = NUMBERS.split(text)
    return [(int(part), "") if k % 2 else (-1, part) for k, part in enumerate(parts)]


def ends_of(view: View, by: str, low: int, high: int) -> Ends:
    """Where each unit of a side begins in the order, and where the last one ends."""
    if high - low <= SINGLE:
        return np.arange(low, high + 1)
    if by == "clusters":
        clusters = view.tree.cut(TILES)
        return np.unique(np.clip(clusters, low, high))
    return np.unique(np.linspace(low, high, TILES + 1).astype(np.intp))
