"""A sweep to disk as any process can take part in it: which units are left, and one of them computed and committed."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..heap import free_large
from ..ledger.arrays import Array, Part
from ..ledger.chunks import checksum, write_chunks
from ..ledger.records import OWN, Ledger, Record
from ..progress import Advance
from ..storage import TAIL, Storage, open_storage
from ..store.entry import MEMORY_BYTES, Entry
from ..store.factors import Factors, Form
from ..version import __version__
from .keep import Keep
from .known import Known
from .layout import arrays, listed_variables
from .listed import Values, values_of
from .options import Options
from .plan import Plan, Unit
from .top import extended, merge, pack, unpack
from .unit import unit_work
from .work import Work

EPOCH = 4  # of what a unit computes: with another one the values of older units are not used
STATES = f"{OWN}/states"
SHORT = 16  # characters of a hash where it names a file


@dataclass(frozen=True)
class Job:
    """One result that is being computed; what is done is known from its ledger, whoever did it.

    Args:
        out: a path or URL.
        factors: of the adapters of the plan, in its order.
        plan: of the result.
        options: how pairs are compared.
        keep: what of them.
        several: λ is a dimension of the result.
        memory: bytes for the factors and results of a block.
    """

    out: str | Path
    factors: Factors
    plan: Plan
    options: Options
    keep: Keep = field(default_factory=Keep)
    several: bool = False
    memory: int = MEMORY_BYTES
    replaces: str = ""  # an older result next to it, which goes when this one is complete
    inputs: Mapping[str, Any] | None = None  # what the adapters were read from

    @cached_property
    def storage(self) -> Storage:
        return open_storage(self.out)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.storage)

    @cached_property
    def arrays(self) -> dict[str, Array]:
        lams = self.options.solver.lams if self.several else None
        return arrays(self.plan, self.options.metrics, self.keep, lams)

    @cached_property
    def context(self) -> str:
        """Of all that decides values besides the adapters."""
        of, plan = self.options, self.plan
        options = [of.metrics, of.p, of.precision, of.backend, of.solver.to_dict(), self.several]
        cut = [plan.chunk, plan.side, plan.group]
        return sha256(json.dumps([EPOCH, options, self.keep.told(), cut]).encode()).hexdigest()

    @cached_property
    def state(self) -> str:
        """Of the adapters: names the file that lists them."""
        return state_of([entry.identity for entry in self.plan.entries])

    def key(self, unit: Unit) -> str:
        """Of everything that decides the values of a unit."""
        return unit_key(self.context, [entry.identity for entry in self.plan.entries], unit)

    def is_done(self, unit: Unit) -> bool:
        """Whether its record has the key that it would get now, and its chunks are on the disk."""
        return self.ledger.is_done(unit.name, self.key(unit))

    def units(self) -> Iterator[Unit]:
        """Every one that is known now; when those are done there may be others."""
        return self.plan.units()

    def doing(self, unit: Unit) -> str:
        """What it is to compute it, for people."""
        return "comparing pairs"

    def pending(self) -> list[Unit]:
        """The units that are left, from the ledger as it is now."""
        self.ledger.refresh()
        return [unit for unit in self.units() if not self.is_done(unit)]

    def run(self, unit: Unit, *, advance: Advance = lambda steps: None) -> Record:
        """Compute and commit a unit, unless another process has."""
        self.ledger.refresh()
        if self.is_done(unit):
            advance(unit.pairs)
            return self.ledger.newest[unit.name]
        started = time.monotonic()
        parts = self.work(unit).run(advance)
        return self.commit(unit, parts, time.monotonic() - started)

    def work(self, unit: Unit) -> Work:
        """Of the pairs of a unit; its parts have the values of those that are known from the disk."""
        free_large()
        before = self._before(unit)
        work = unit_work(
            unit, self.plan, self.factors, self.options, self.keep,
            several=self.several, known=before, memory=self.memory,
        )  # fmt: skip

        def parts() -> list[Part]:
            found = [self._with_known(unit, part, before) for part in work.parts()]
            return found if before is None or before.lost else self._with_list(unit, found)

        return replace(work, parts=parts)

    def commit(self, unit: Unit, values: Iterable[Part], seconds: float) -> Record:
        """The chunks, then one line in the ledger of this process, with the seconds that the unit took."""
        parts = list(values)
        arrays = [part for part in parts if part.array in self.arrays]
        chunks = write_chunks(self.storage, (chunk for part in arrays for chunk in self.arrays[part.array].cut(part)))
        if listed := values_of(part for part in parts if part.array not in self.arrays):
            data = pack(listed)
            self.storage.write(list_file(unit), data := data + checksum(data))
            chunks[list_file(unit)] = len(data), data[-TAIL:].hex()
        about = {
            "state": self.state, "context": self.context, "pairs": unit.pairs, "seconds": round(seconds, 3),
            "host": socket.gethostname(), "pid": os.getpid(), "device": self.options.device, "version": __version__,
        }  # fmt: skip
        return self.ledger.append(unit.name, self.key(unit), chunks, about)

    def _before(self, unit: Unit) -> Known | None:
        """What is known of a unit that was computed before, maybe for other adapters."""
        record = self.ledger.newest.get(unit.name)
        if record is None or record.about.get("context") != self.context:
            return None
        try:
            old = json.loads(self.storage.read(state_file(str(record.about["state"]))))["identities"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

        def same(adapters: range) -> Any:
            return np.array([i < len(old) and old[i] == self.plan.entries[i].identity for i in adapters], bool)

        known = same(unit.sources), same(unit.targets)
        # a list of the best lacks the one that comes after them, for when one of them has changed
        new = [np.asarray(side) >= len(old) for side in (unit.sources, unit.targets)]
        changed = not all((one | late).all() for one, late in zip(known, new, strict=True))
        lost = (self.keep.lists and changed) or bool(self.ledger.damaged(record, all_bytes=True))
        return Known(*known, lost)

    def _with_known(self, unit: Unit, part: Part, known: Known | None) -> Part:
        array = self.arrays.get(part.array)
        if known is None or known.lost or array is None:
            return part
        if "target" not in array.dims:  # NaN also where an adapter has a module that no new one has
            missing = np.isnan(part.values)
            missing[:, ~known.sources] = False
            if not missing.any():
                return part
            return Part(part.array, part.start, np.where(missing, self._old(part), part.values))
        back = not unit.diagonal and part.start[-2:] == (unit.targets.start, unit.sources.start)
        return Part(part.array, part.start, np.where(known.pairs(back), self._old(part), part.values))

    def _old(self, part: Part) -> NDArray[Any]:
        """What the disk has in the place of a part."""
        return self.arrays[part.array].read(self.storage, part.start, part.values.shape)

    def _with_list(self, unit: Unit, parts: list[Part]) -> list[Part]:
        """With what is listed of the pairs that are known, where pairs are listed."""
        more = values_of(part for part in parts if part.array not in self.arrays)
        if not more:
            return parts
        whole = extended(self.read_list(unit), more)
        return [Part(part.array, part.start, whole.get(part.array, part.values)) for part in parts]

    def read_list(self, unit: Unit) -> Values:
        """What was kept of the pairs of a unit, where pairs are listed."""
        return read_list(self.storage, unit)

    def listed(self, attributes: Mapping[str, Any]) -> tuple[xr.Dataset, dict[str, Any]]:
        """The best pairs of all units, and what was counted over all; the attributes with those that say it."""
        values, counted = merge(lambda: map(self.read_list, self.plan.units()), len(self.plan.entries), self.keep)
        pairs = {"pairs": int(counted.pop("pairs"))} if "pairs" in counted else {}
        return listed_variables(values, counted, self.several), {**attributes, **pairs}

    def __getstate__(self) -> dict[str, Any]:
        # another process opens the files itself
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def unit_key(context: str, identities: Sequence[str], unit: Unit) -> str:
    """Of everything that decides the values of a unit: of how they are computed, and of its adapters."""
    sides = [[identities[i] for i in side] for side in (unit.sources, unit.targets)]
    listed = sha256(unit.listed).hexdigest() if unit.listed else ""
    return sha256(json.dumps([context, unit.group, *sides, listed]).encode()).hexdigest()


def list_file(unit: Unit) -> str:
    """Holds what is kept of the pairs of a unit."""
    return f"{OWN}/lists/{unit.name}"


def read_list(storage: Storage, unit: Unit) -> Values:
    """What is kept of the pairs of a unit that is done."""
    return unpack(storage.read(list_file(unit))[:-TAIL])


def state_of(identities: Sequence[str]) -> str:
    """What names a list of adapters."""
    return sha256("\n".join(identities).encode()).hexdigest()[:SHORT]


def state_file(state: str) -> str:
    """A copy of the plan that a record was computed by, which lists its adapters."""
    return f"{STATES}/{state}.json"


@dataclass(frozen=True)
class Ordered:
    """Factors in another order, or some of them."""

    factors: Factors
    order: tuple[int, ...]

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self.factors.entries[i] for i in self.order)

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        return self.factors.read(modules, tuple(self.order[i] for i in adapters), rank)

    def whole(self, module: str, adapter: int) -> Any:
        return self.factors.whole(module, self.order[adapter])
