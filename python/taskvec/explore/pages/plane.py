"""The map: adapters as points, coloured by a label."""

from __future__ import annotations

from ...reports.html.document import labels_document, plane
from ..live import NotReadYetError
from .page import Asked, Document, all_names


def map_page(asked: Asked) -> Document:
    view = asked.view
    if not view.is_ready("plane"):
        raise NotReadYetError
    return {
        **all_names(view),
        "labels": labels_document(view.labels, view.names),
        "map": plane(view.plane, asked.arrays),
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
