"""The two adapters of a command, and what is odd about them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import warn

if TYPE_CHECKING:
    from ..adapters import Adapter


def load_pair(source: Path, target: Path, reading: dict[str, Any]) -> tuple[Adapter, Adapter]:
    """Both adapters; their warnings go to stderr; TaskvecError for no module in common."""
    from ..formats import ReadOptions
    from ..left_out import left_out
    from ..sources import load_adapter
    from ..zoo import as_pair

    a, b = (load_adapter(path, **reading) for path in (source, target))
    for adapter in (a, b):
        warn(f"{adapter.name}: {warning}" for warning in adapter.warnings)
    if a.base_model and b.base_model and a.base_model != b.base_model:
        names = f"{a.base_model} and {b.base_model}"
        warn([f"two base models are named ({names}); modules of one path and shape are compared"])
    a, b, renamed = as_pair(a, b, ReadOptions(**reading).attention)
    warn([*renamed, *left_out([a, b])])
    return a, b
