"""Formats of other packages, which name theirs in the entry-point group ``taskvec.formats``.

    [project.entry-points."taskvec.formats"]
    mine = "my_package.formats:MINE"

where MINE has ``name``, ``claims(names, beside_peft)``, ``discover(path)`` and ``read(location, options)``; a
``taskvec.formats.single.SingleFile`` does.
"""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from importlib.metadata import entry_points
from typing import Protocol

from ..errors import TaskvecError
from .format import Format

GROUP = "taskvec.formats"


class Claiming(Format, Protocol):
    """A format of one file that is asked whether tensors of these names are its own."""

    def claims(self, names: Set[str], beside_peft: bool) -> bool: ...


@cache
def others() -> tuple[Claiming, ...]:
    """The formats of other packages that are installed, by the names of their entry points.

    Raises:
        TaskvecError: one cannot be loaded, or is no format.
    """
    found = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        fix = f"update or uninstall {entry.dist.name if entry.dist else entry.value}"
        try:
            format = entry.load()
        except Exception as error:  # code of someone else's
            what = f"the format {entry.name!r} of another package cannot be loaded ({error})"
            raise TaskvecError(what, where=entry.value, fix=fix) from error
        if not all(hasattr(format, name) for name in ("name", "claims", "discover", "read")):
            what = f"the format {entry.name!r} of another package is no format"
            raise TaskvecError(what, where=entry.value, expected="name, claims, discover and read", fix=fix)
        found.append(format)
    return tuple(found)
