"""What people give to a sweep, as factors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..adapters import Adapter
from ..store.factor_store import FactorStore
from ..store.factors import Factors
from ..store.memory import AdapterFactors
from ..store.opening import is_store
from ..zoo import Zoo, as_zoo

Given = Zoo | str | Path | Sequence[Adapter | str | Path]


def as_factors(given: Given | Factors, device: str = "cpu") -> Factors:
    """The factors of a store, a zoo, adapters or paths to them; factors stay what they are."""
    if (place := one_store(given)) is not None:
        return FactorStore.open(place)
    if isinstance(given, Zoo | str | Path | Sequence):
        return AdapterFactors(as_zoo(given).adapters, device)
    return given


def one_store(given: Given | Factors) -> str | Path | None:
    """The path of the store that is all that was given; None otherwise."""
    paths = [given] if isinstance(given, str | Path) else given if isinstance(given, Sequence) else []
    return paths[0] if len(paths) == 1 and isinstance(paths[0], str | Path) and is_store(paths[0]) else None
