"""``taskvec env``: versions, SIMD level, backends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .common import AsJson, Width, print_json, print_parts

if TYPE_CHECKING:
    from ..reports.tables import Table

SCHEMA = "taskvec.env/2"


def env(as_json: AsJson = False, width: Width = None) -> None:
    """Versions, SIMD level, and each backend with why it can or cannot run."""
    from ..env import environment

    found: dict[str, Any] = environment()
    if as_json:
        print_json({"schema": SCHEMA, **found})
        return
    rows: dict[tuple[str, ...], list[tuple[str, ...]]] = {
        ("package", "version"): [(name, version or "not installed") for name, version in found.pop("versions").items()],
        ("backend", "can run", "why"): [
            (item["name"], "yes" if item["usable"] else "no", item["reason"]) for item in found.pop("backends")
        ],
    }
    rows["machine", ""] = [(name.replace("_", " "), str(value)) for name, value in found.items()]
    print_parts((table(titles, of) for titles, of in rows.items()), width)


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    from ..reports.tables import Column, Table

    first, *others = titles
    return Table([Column(first, "name"), *(Column(title, "text") for title in others)], rows=rows)
