"""A store of factors on disk or in an object store, opened to read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import LowRankSVD

from ..errors import TaskvecError
from ..storage import Storage, open_storage
from .consecutive import consecutive
from .entry import Entry
from .factors import Form
from .manifest import Batch, Modules, ShapeClass, class_name
from .opening import BATCHES, METADATA, Root, batches, open_root
from .pool import Pool
from .shards import RESTORE, Shard

OF_MODULE = ("module", "adapter")
Numbers = NDArray[Any]


@dataclass(frozen=True)
class Place:
    """Where an adapter is: a batch, and a place in it."""

    batch: str
    place: int


class FactorStore:
    """The adapters of a store as they are when it is opened: what is ingested later is not seen.

    Another process gets where it is, and which batches are seen.

    Attributes:
        entries: in the order in which they came.
        root: what never changes of a store.
        skipped: path and reason of what could not be read.
        errors: by name, how far the factors are from those of the files, where they are rounded; else 0.
    """

    def __init__(self, storage: Storage, seen: Sequence[str] | None = None) -> None:
        self.storage = storage
        self.root: Root = open_root(storage)
        self.seen = tuple(batches(storage) if seen is None else seen)
        self.batches: dict[str, Batch] = {}
        known: dict[str, Modules] = {}
        alive: dict[str, tuple[Place, Entry, float]] = {}
        self.skipped: tuple[tuple[str, str], ...] = ()
        for name in self.seen:
            batch = self.batches[name] = read_batch(storage, name, known)
            for removed in batch.removed:
                alive.pop(removed, None)
            for place, (entry, error) in enumerate(zip(batch.entries, batch.errors, strict=True)):
                alive.pop(entry.name, None)
                alive[entry.name] = Place(name, place), entry, error
            self.skipped = self.skipped if batch.skipped is None else batch.skipped
        self.places = tuple(place for place, _, _ in alive.values())
        self.entries: tuple[Entry, ...] = tuple(entry for _, entry, _ in alive.values())
        self.errors = {entry.name: error for _, entry, error in alive.values()}
        self._index: dict[str, NDArray[np.uint64]] = {}
        self._memory = Pool()
        self._second = ThreadPoolExecutor(1, "taskvec-read")

    @classmethod
    def open(cls, place: str | Path) -> FactorStore:
        """The store at a path or URL.

        Raises:
            TaskvecError: it is no store, of a newer version, or damaged.
        """
        return cls(open_storage(place))

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        m, n = self.entries[adapters[0]].modules[modules[0]].shape
        U, Vh = self.arrays(("U", "V"), (m, n), modules, adapters, rank)
        return self._form(U, Vh, modules, adapters, rank)

    def whole(self, module: str, adapter: int) -> Tensor | None:
        return None

    def sketches(self) -> StoredSketches | None:
        """The sketches of the same adapters as factors of modules of size × size; None where there are none."""
        return StoredSketches(self) if self.root.sketch else None

    def arrays(
        self,
        names: tuple[str, str],
        lengths: tuple[int, int],
        modules: tuple[str, ...],
        adapters: tuple[int, ...],
        rank: int,
    ) -> tuple[Numbers, Numbers]:
        """Two arrays (L, N, rank, length) of directions, fp32; at once, where torch may use two threads."""
        made = [self._memory.empty((len(modules), len(adapters), rank, length)) for length in lengths]
        places = [*self._find(modules, adapters)]

        def fill(name: str, array: Numbers) -> None:
            for batch, found, row, of_module, where, slots in places:
                self._fill(array[row], self._shard(batch, found, name), of_module, where, slots)

        if torch.get_num_threads() > 1:
            second = self._second.submit(fill, names[1], made[1])
            try:
                fill(names[0], made[0])
            finally:
                second.result()
        else:
            for name, array in zip(names, made, strict=True):
                fill(name, array)
        return made[0], made[1]

    def _form(self, U: Numbers, Vh: Numbers, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        S = np.zeros((len(modules), len(adapters), rank), np.float32)
        norms = np.full((len(modules), len(adapters)), np.nan)
        for batch, found, row, of_module, where, slots in self._find(modules, adapters):
            self._fill(S[row], self._shard(batch, found, "S"), of_module, where, slots)
            cut = np.array([(of_module, slot) in found.cut for slot in slots.tolist()])
            if cut.any():
                self._fill(norms[row], self._shard(batch, found, "norm"), of_module, where[cut], slots[cut])
        svd = LowRankSVD(torch.from_numpy(U).mT, torch.from_numpy(S), torch.from_numpy(Vh))
        return Form(svd, torch.from_numpy(norms))

    def _find(
        self, modules: tuple[str, ...], adapters: tuple[int, ...]
    ) -> Iterator[tuple[str, ShapeClass, int, int, NDArray[np.intp], NDArray[np.intp]]]:
        """Batch, arrays, row of ``modules``, row of the arrays, columns of ``adapters`` and their slots."""
        alike: dict[tuple[str, int], list[int]] = defaultdict(list)  # adapters of one batch and one set of modules
        for column, i in enumerate(adapters):
            alike[self.places[i].batch, id(self.entries[i].modules)].append(column)
        for (batch, _), columns in alike.items():
            entry = self.entries[adapters[columns[0]]]
            slots_of: dict[str, NDArray[np.intp]] = {}
            where = np.array(columns, np.intp)
            for row, path in enumerate(modules):
                module = entry.modules[path]
                found = self.batches[batch].by_name[class_name(module.shape, module.rank)]
                if found.name not in slots_of:
                    slots = [found.slots[self.places[adapters[column]].place] for column in columns]
                    slots_of[found.name] = np.array(slots, np.intp)
                yield batch, found, row, found.rows[path], where, slots_of[found.name]

    def _shard(self, batch: str, found: ShapeClass, name: str) -> Shard:
        return shard_of(batch, found, name, self.root)

    def _fill(self, target: Numbers, shard: Shard, row: int, where: NDArray[np.intp], slots: NDArray[np.intp]) -> None:
        """Copy the slots of one module to their places along the first axis of the target; zeros to what they lack."""
        index = self._index.get(shard.name)
        if index is None:
            index = self._index[shard.name] = shard.read_index(self.storage)
        of_slot = slots // shard.slots
        k = min(shard.shape[2], target.shape[1]) if target.ndim > 1 else 0
        for chunk, values in shard.read(self.storage, index, row, np.unique(of_slot).tolist()):
            here = np.flatnonzero(of_slot == chunk)
            some, to = consecutive(slots[here] - chunk * shard.slots), consecutive(where[here])
            if values is None:
                target[to] = 0
            elif target.ndim > 1:
                target[to, :k] = values[some, :k]
                target[to, k:] = 0
            else:
                target[to] = values[some]

    def __reduce__(self) -> tuple[Any, ...]:
        return FactorStore, (self.storage, self.seen)


@dataclass(frozen=True)
class StoredSketches:
    """The sketches of a store's adapters: ``read`` gives U (L, N, s, k) and Vh (L, N, k, s) of size s, S and norms."""

    store: FactorStore

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.store.entries

    @property
    def size(self) -> int:
        return self.store.root.sketch

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        U, Vh = self.store.arrays(("sketch_U", "sketch_V"), (self.size, self.size), modules, adapters, rank)
        return self.store._form(U, Vh, modules, adapters, rank)

    def whole(self, module: str, adapter: int) -> Tensor | None:
        return None


def shard_of(batch: str, found: ShapeClass, name: str, root: Root) -> Shard:
    """An array of a batch."""
    (m, n), k = found.shape, found.rank
    rows = {"U": m, "V": n, "sketch_U": root.sketch, "sketch_V": root.sketch}
    size = (len(found.modules), len(found.adapters))
    at = f"{BATCHES}/{batch}/{found.name}/{name}"
    if name == "norm":
        return Shard(at, size, np.dtype(np.float64), OF_MODULE, root.chunk_bytes)
    if name == "S":
        return Shard(at, (*size, k), np.dtype(np.float64), (*OF_MODULE, "component"), root.chunk_bytes)
    dtype = np.dtype(root.dtype if name in ("U", "V") else np.float32)
    length = {"U": "row", "V": "column"}.get(name, "sketch")
    return Shard(at, (*size, k, rows[name]), dtype, (*OF_MODULE, "component", length), root.chunk_bytes)


def array_names(root: Root) -> tuple[str, ...]:
    """The arrays of a set of modules."""
    return ("U", "V", "S", "norm", *(("sketch_U", "sketch_V") if root.sketch else ()))


def read_batch(storage: Storage, name: str, known: dict[str, Modules]) -> Batch:
    """What a store says of a batch.

    Raises:
        TaskvecError: it is not what was written.
    """
    file = f"{BATCHES}/{name}/{METADATA}"
    try:
        return Batch.of_attributes(json.loads(storage.read(file))["attributes"], known)
    except FileNotFoundError as error:
        what, fix = "was removed while it was read", "run the command again"
        raise TaskvecError(what, where=f"{storage.url}/{file}", fix=fix) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TaskvecError(f"is damaged ({error})", where=f"{storage.url}/{file}", fix=RESTORE) from error
