"""Factors of more adapters than the memory holds: made once, into a store next to the result of their sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ..errors import TaskvecError
from ..ingestion import ingest
from ..ledger.records import OWN
from ..progress import Mode
from ..store.entry import Entry, form_bytes
from ..store.factor_store import FactorStore
from ..store.factors import Factors, Form
from ..store.memory import AdapterFactors
from ..zoo import Zoo

HELD_BYTES = 2**30  # of factors up to which blocks of adapters are factorised again for each other block


@dataclass
class Beside:
    """The factors of adapters, from a store as soon as ``make`` has made it; the same bit for bit."""

    factors: AdapterFactors
    place: str
    _store: FactorStore | None = None
    _places: tuple[int, ...] = field(default=())

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.factors.entries

    def make(self, progress: Mode | None = None) -> None:
        """Factorise what the store does not have. Without it, the factors are made whenever they are read.

        That is so where another process makes it, the disk is full, or paths of modules would change.
        """
        try:
            store = ingest(Zoo(tuple(self.factors.adapters)), self.place, sketch=0, progress=progress).store
        except TaskvecError:
            return
        places = {entry.name: i for i, entry in enumerate(store.entries)}
        if all(store.entries[places[entry.name]].identity == entry.identity for entry in self.entries):
            self._store, self._places = store, tuple(places[entry.name] for entry in self.entries)

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        if self._store is None:
            return self.factors.read(modules, adapters, rank)
        return self._store.read(modules, tuple(self._places[i] for i in adapters), rank)

    def whole(self, module: str, adapter: int) -> Tensor | None:
        return self.factors.whole(module, adapter)


def beside(factors: Factors, out: str | Path | None) -> Factors:
    """The factors, with a store next to a result at ``out`` where they are of many adapters on a CPU."""
    if not isinstance(factors, AdapterFactors) or factors.device != "cpu" or out is None:
        return factors
    size = sum(form_bytes(one.rank, one.shape) for entry in factors.entries for one in entry.modules.values())
    return Beside(factors, f"{out}/{OWN}/factors.zarr") if size > HELD_BYTES else factors
