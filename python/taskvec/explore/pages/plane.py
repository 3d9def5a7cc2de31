"""The map: adapters as points, coloured by a label."""

from __future__ import annotations

from ...queries.mapping import has_umap
from ...reports.html.document import labels_document, plane
from ..live import NotReadYetError
from .page import Asked, Document, all_names, field


def map_page(asked: Asked) -> Document:
    view = asked.view
    if not view.is_ready("plane"):
        raise NotReadYetError
    both = view.in_memory and has_umap() and len(view.names) >= 4
    by = asked.address.choice("by", ("mds", "umap") if both else ("mds",), "mds")
    return {
        **all_names(view),
        "form": [field("by", "Map", by, options=[("mds", "classical MDS"), ("umap", "UMAP")])] if both else [],
        "labels": labels_document(view.labels, view.names),
        "map": plane(view.umap if by == "umap" else view.plane, asked.arrays),
        "chosen": chosen(asked),
    }


def chosen(asked: Asked) -> Document:
    """What the address says of the drawing."""
    found: Document = {}
    labels = [*asked.view.labels.columns, "none"]
    if label := asked.address.choice("label", labels):
        found["label"] = "" if label == "none" else label
    if names := asked.address.choice("names", ("yes", "no")):
        found["names"] = names == "yes"
    return found
