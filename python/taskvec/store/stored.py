"""The adapters of a store as any others: wherever a path is taken, a store's is too, or STORE::NAME for one of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..adapters import Adapter, Cut, LowRank, Module
from ..errors import TaskvecError
from ..formats import Location, ReadOptions
from ..storage import remote_url
from .entry import ModuleEntry
from .factor_store import FactorStore
from .opening import METADATA, is_store

SEPARATOR = "::"
MOST_SHOWN = 5


def stored(typed: str | Path) -> Location | None:
    """The store, or the adapter of one, that a path means; None for any other path."""
    place, separator, name = str(typed).partition(SEPARATOR)
    if not (separator or remote_url(place) or os.path.isfile(Path(place) / METADATA)) or not is_store(place):
        return None
    path = Path(place)
    return Location(str(typed), path, path / METADATA / name, Stored(place, name if separator else None))


@dataclass(frozen=True)
class Stored:
    """A store of factors as a format of adapters; of one adapter, if it is named."""

    place: str
    adapter: str | None = None
    name: str = "store"

    def discover(self, path: Path) -> list[Location]:
        found = stored(path)
        return [found] if found else []

    def read(self, location: Location, options: ReadOptions) -> list[Adapter]:
        store = FactorStore.open(self.place)
        if self.adapter is None:
            return [stored_adapter(store, i) for i in range(len(store.entries))]
        names = [entry.name for entry in store.entries]
        if self.adapter not in names:
            some = ", ".join(names[:MOST_SHOWN]) + (", ..." if len(names) > MOST_SHOWN else "")
            raise TaskvecError(f"has no adapter {self.adapter!r}", where=self.place, expected=f"one of {some}")
        return [replace(stored_adapter(store, names.index(self.adapter)), name=location.name)]


def stored_adapter(store: FactorStore, place: int) -> Adapter:
    """An adapter whose updates are read from a store when they are asked for."""
    entry = store.entries[place]
    return Adapter(
        name=entry.name,
        path=Path(store.storage.url),
        format=entry.format,
        base_model=entry.base_model,
        modules={path: _module(store, place, module) for path, module in entry.modules.items()},
        digest=entry.digest,
        left_out=entry.left_out,
        warnings=entry.warnings,
        parameters=entry.parameters,
    )


def _module(store: FactorStore, place: int, module: ModuleEntry) -> Module:
    return Module(
        path=module.path,
        shape=module.shape,
        rank=module.rank,
        alpha=module.alpha,
        scale=module.scale,
        scale_source=module.scale_source,
        update=partial(_update, store, place, module),
        warnings=module.warnings,
        start=module.start,
    )


def _update(store: FactorStore, place: int, module: ModuleEntry) -> LowRank:
    """τ = (U √S) · (√S Vᴴ), which a factorisation gives back."""
    (U, S, Vh), norms = store.read((module.path,), (place,), module.rank)
    root = S[0, 0].sqrt()
    b, a = U[0, 0] * root, root[:, None] * Vh[0, 0]
    norm = float(norms[0, 0])
    return LowRank(b, a, 1.0) if norm != norm else Cut.of(b, a, norm)
