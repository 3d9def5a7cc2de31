"""What people give to a sweep, as factors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..adapters import Adapter
from ..store.factors import Factors
from ..store.memory import AdapterFactors
from ..zoo import Zoo, as_zoo

Given = Zoo | str | Path | Sequence[Adapter | str | Path]


def as_factors(given: Given | Factors, device: str = "cpu") -> Factors:
    """The factors of a zoo, of adapters or of paths to them; factors stay what they are."""
    if isinstance(given, Zoo | str | Path | Sequence):
        return AdapterFactors(as_zoo(given).adapters, device)
    return given
