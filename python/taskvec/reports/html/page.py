"""The page: template, style, scripts and data in one text."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from ...documents import null_for_nan
from ...version import __version__

STYLE = ("base", "layout", "controls", "figures", "print")
LIBRARIES = ("d3", "dagre")
# in the order in which they need each other
SCRIPTS = (
    "arrays", "dom", "format", "colours", "theme", "table", "state", "verdicts", "dendrogram", "cells", "heatmap",
    "matrix", "chart", "pair", "tables", "graph", "map", "adapters", "answers", "methods", "sections",
)  # fmt: skip


def page(title: str, document: dict[str, Any], arrays: str) -> str:
    """One HTML document that asks for nothing else.

    Args:
        title: plain text.
        document: what the scripts read, JSON; NaN is null.
        arrays: from ``Pack.text``.
    """
    return Template(resource("page.html")).substitute(
        title=html.escape(title),
        version=__version__,
        style=style(),
        script=script(),
        arrays=arrays,
        document=embedded(document),
    )


def embedded(document: Any) -> str:
    """JSON that is safe between script tags: no ``<`` ends them."""
    text = json.dumps(null_for_nan(document), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def style() -> str:
    return "\n".join(resource(f"style/{name}.css") for name in STYLE)


@cache
def script() -> str:
    return one_script(resource(f"js/{name}.js") for name in SCRIPTS)


def one_script(ours: Iterable[str]) -> str:
    """The libraries with their licences, then ours in a function of its own."""
    parts = []
    for name in LIBRARIES:
        code = "\n".join(
            line for line in resource(f"vendor/{name}.min.js").splitlines() if "sourceMappingURL" not in line
        )
        parts += [f"/*! {name}\n{resource(f'vendor/{name}.LICENSE')}*/", code]
    return "\n".join([*parts, '(() => {\n"use strict";', *ours, "})();"])


def resource(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
