"""A page as HTML, and as JSON."""

from __future__ import annotations

import hashlib
import html
import json
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..documents import null_for_nan
from ..reports.html.packing import Encoding, Pack
from ..reports.html.page import embedded, one_script, resource, style

# of the report, in the order in which they need each other; "address" and what follows are ours
REPORT = ("arrays", "dom", "format", "colours", "theme", "table")
SECTIONS = (
    "verdicts", "dendrogram", "cells", "heatmap", "matrix", "chart", "pair", "tables", "graph", "map", "adapters",
    "answers", "methods",
)  # fmt: skip
OURS = ("form", "overview", "lists", "pages", "matrix", "sql", "start")
REFRESH = '<meta http-equiv="refresh" content="1">'


class Lists:
    """Arrays as lists of JSON, by name."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def add(self, name: str, values: NDArray[Any], encoding: Encoding | None = None) -> None:
        """Keep an array; NaN is null."""
        found = values.astype(object)
        if values.dtype.kind == "f":
            found[~np.isfinite(values)] = None
        self.values[name] = found.tolist()


def as_html(title: str, document: dict[str, Any], arrays: Pack, *, again: bool = False) -> str:
    """The page; ``again``: one that asks for itself in a second."""
    return Template(own("page.html")).substitute(
        title=html.escape(title),
        refresh=REFRESH if again else "",
        static=f"/static/{version()}",
        document=embedded({**document, "arrays": arrays.index}),
        arrays=arrays.text(0),  # to this machine: nothing is gained by compression
    )


def as_json(document: dict[str, Any], arrays: Lists) -> str:
    return json.dumps({**null_for_nan(document), "arrays": arrays.values}, allow_nan=False, ensure_ascii=False)


@cache
def script() -> str:
    ours = [
        own("js/address.js"),
        *(resource(f"js/{name}.js") for name in SECTIONS),
        *(own(f"js/{name}.js") for name in OURS),
    ]
    return one_script([*(resource(f"js/{name}.js") for name in REPORT), *ours])


@cache
def styles() -> str:
    return f"{style()}\n{own('style.css')}"


@cache
def version() -> str:
    """Of script and style: browsers keep them until it changes."""
    return hashlib.sha256((script() + styles()).encode()).hexdigest()[:16]


def own(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
