"""What every page is made of: its document, the fields that ask for another view, names of adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import printable
from ...reports.html.packing import Arrays
from ..address import Address
from ..live import Live
from ..view import View

PER_PAGE = 50
Document = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A page that is asked for."""

    live: Live
    view: View
    address: Address
    arrays: Arrays


@dataclass(frozen=True)
class Page:
    """A kind of page; ``listed``: whether it stands in the list of pages."""

    title: str
    build: Callable[[Asked], Document]
    listed: bool = True


def field(
    name: str, label: str, value: Any, *, options: Iterable[tuple[str, str]] | None = None, kind: str = "text"
) -> Document:
    """One control of a page's form: text, number, adapter or check; with ``options`` a choice of few."""
    found = {"name": name, "label": label, "value": "" if value is None else value, "kind": kind}
    if options is not None:
        found |= {"kind": "choice", "options": [list(option) for option in options]}
    return found


def names_of(view: View, some: Iterable[int]) -> Document:
    """The names of some adapters, for people, by position; and for addresses where these are others."""
    names = {str(i): printable(view.names[i]) for i in sorted(set(some))}
    keys = {i: view.names[int(i)] for i, name in names.items() if name != view.names[int(i)]}
    return {"adapters": names, "keys": keys, "count": len(view.names)}


def all_names(view: View) -> Document:
    names = [printable(name) for name in view.names]
    keys = {str(i): raw for i, (name, raw) in enumerate(zip(names, view.names, strict=True)) if name != raw}
    return {"adapters": names, "keys": keys, "count": len(names)}


def paged(address: Address, total: int, per: int = PER_PAGE) -> tuple[int, Document]:
    """The first row of the page that is asked for, and what the page says of itself."""
    last = max(1, -(-total // per))
    page = min(address.whole("page", 1, 1, 10**9), last)
    return (page - 1) * per, {"page": page, "last": last, "total": total, "per": per}


def sorting(address: Address, columns: Sequence[str], default: str, rising: Sequence[str] = ()) -> tuple[str, bool]:
    """The column that rows are in the order of, and whether the largest comes first."""
    order = address.choice("order", columns, default)
    way = address.choice("way", ("up", "down"), "up" if order in rising else "down")
    return order, way == "down"


def records(rows: Iterable[Mapping[str, Any]]) -> list[Document]:
    return [{str(name): printable(x) if isinstance(x, str) else x for name, x in row.items()} for row in rows]
