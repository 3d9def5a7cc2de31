"""``ingest``: adapters to a store of their factors; what the store knows is not factorised again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar, Unpack

from .adapters import Adapter
from .errors import TaskvecError
from .formats import Reading, ReadOptions
from .formats.heads import Heads
from .formats.reading.held import KEPT_BYTES
from .naming.align import align
from .progress import Mode, progress_bar
from .sources import find, read_each
from .storage import open_storage
from .store.entry import FP32_BYTES, Entry, entry_of
from .store.factor_store import FactorStore
from .store.factoring import Factored, Sketch, factor, factor_bytes
from .store.opening import Dtype, Root
from .store.pool import Pool
from .store.sketches import SIZE, sketched_arrays
from .store.writer import Writer, opened
from .zoo import Skipped, Zoo

T = TypeVar("T")
MEMORY_BYTES = 2**30
PARTS = 6  # of the memory that the factors of a batch may take: one is written while the next is made
MOST_ADAPTERS = 4096  # of a batch: what a kill loses


@dataclass(frozen=True)
class Ingested:
    """What ``ingest`` did.

    Attributes:
        store: as it is now.
        added: names of new adapters.
        replaced: names of those whose files, or the way to read them, had changed.
        unchanged: how many were known.
        gone: names of those in the store whose files are no longer where they were.
        removed: those of them that were removed.
        skipped: what could not be read.
        warnings: what a person should know.
    """

    store: FactorStore
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    unchanged: int
    gone: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]


def ingest(
    given: Zoo | Iterable[str | Path] | str | Path,
    out: str | Path,
    *,
    dtype: Dtype | None = None,
    sketch: int | None = None,
    memory: int = MEMORY_BYTES,
    prune: bool = False,
    recursive: bool = False,
    skip_bad: bool = False,
    progress: Mode | None = None,
    **reading: Unpack[Reading],
) -> Ingested:
    """Factorise adapters into a store, the new and the changed ones alone.

    Args:
        given: paths as ``load_zoo`` takes them, or a zoo.
        out: a folder or URL, of a store or for a new one.
        dtype: of U and V in a new store; None: "float32". "float16" takes half the room, and each adapter's error is
            measured and kept.
        sketch: numbers a direction of the sketches in a new store, 0 for none; None: ``sketches.SIZE``.
        memory: bytes for all that is at work; factors of a batch are a part of it, at least one adapter.
        prune: remove adapters whose files are no longer in the folders given.
        recursive: as ``load_zoo`` takes it.
        skip_bad: leave out what cannot be read.
        progress: "auto", "json" or "off" (None).
        reading: as ``load_adapter`` takes it.

    Raises:
        TaskvecError: a bad path or adapter; a place that is no store, or is being written to by another process; a full
            disk. What was written before stays, and the same call goes on.

    Cost:
        Every file is read once, and the new adapters a second time; a factorisation of these. Reading, factorising and
        writing overlap.
    """
    storage = open_storage(out)
    options = ReadOptions(**reading)
    adapters, zoo_warnings, roots = (
        (given.adapters, given.warnings, []) if isinstance(given, Zoo) else ((), (), _folders(given))
    )
    found, warnings = ((), ()) if isinstance(given, Zoo) else find(_listed(given), recursive, options)
    with opened(storage, Root(dtype=dtype or "float32", sketch=SIZE if sketch is None else sketch)) as writer:
        for name, asked, has in (("dtype", dtype, writer.root.dtype), ("sketch", sketch, writer.root.sketch)):
            if asked not in (None, has):
                fix = "leave the option out, or choose another output path"
                raise TaskvecError(f"has another {name}", where=storage.url, got=str(asked), expected=str(has), fix=fix)
        run = Run(writer, FactorStore(storage), memory, options.attention, skip_bad)
        with progress_bar(progress, "ingesting", len(found) + len(adapters)) as advance, run.writing():
            for adapter in adapters:
                run.take([adapter])
                advance(1)
            for location, read in zip(found, read_each(found, options, keep=True), strict=True):
                run.sources.add(os.path.abspath(location.path))
                if isinstance(read, TaskvecError):
                    run.skip(location.path, read)
                else:
                    run.take(read)
                advance(1)
            run.compare()
            run.flush()
        gone = run.gone(roots)
        run.settle(gone if prune else ())
        if not (run.added or run.replaced or run.unchanged):
            first = run.skipped[0].reason if run.skipped else "there is none"
            raise TaskvecError(f"none of {len(found)} adapters can be read, the first because {first}")
    return Ingested(
        FactorStore(storage),
        tuple(run.added),
        tuple(run.replaced),
        run.unchanged,
        gone,
        gone if prune else (),
        tuple(run.skipped),
        (*zoo_warnings, *warnings, *run.warnings),
    )


@dataclass
class Run:
    """One ingest: adapters are collected until the memory is full, compared with the store, factorised and written."""

    writer: Writer
    store: FactorStore
    memory: int
    heads: Heads | None
    skip_bad: bool
    sources: set[str] = field(default_factory=set)  # where adapters were found
    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by_name = {entry.name: entry for entry in self.store.entries}
        self.by_source: dict[str, list[Entry]] = {}
        self.spelled: dict[str, tuple[int, int]] = {}
        for entry in self.store.entries:
            self.by_source.setdefault(entry.source, []).append(entry)
            self.spelled |= {path: module.shape for path, module in entry.modules.items()}
        self.sketch = sketcher(self.writer.root)
        self._found: Pile[Adapter] = Pile(self.memory)  # not compared with the store yet
        self._new: Pile[tuple[Adapter, Entry]] = Pile(self.memory)  # not factorised yet
        self._memory = Pool()
        self._pool = ThreadPoolExecutor(1, "taskvec-write")
        self._written: Future[None] | None = None

    def writing(self) -> ThreadPoolExecutor:
        """To be left when all is written."""
        return self._pool

    def take(self, adapters: Sequence[Adapter]) -> None:
        for adapter in adapters:
            self._found.add(adapter, at_work(adapter))
        if self._found.is_full:
            self.compare()
            if self._new.is_full:
                self.flush()

    def skip(self, path: Path, error: TaskvecError) -> None:
        if not self.skip_bad:
            raise error
        self.skipped.append(Skipped(path, str(error)))

    def compare(self) -> None:
        """Find what is new among the adapters that were read, under the store's spelling of their modules."""
        found = self._found.taken()
        adapters, renamed = align(found, self.heads, self.spelled) if found else ((), ())
        self.warnings += renamed
        for adapter in adapters:
            entry = self._named(replace(entry_of(adapter), source=os.path.abspath(adapter.path)))
            known = self.by_name.get(entry.name)
            self.by_name[entry.name] = entry
            self.spelled |= {path: module.shape for path, module in entry.modules.items()}
            if known is not None and known.identity == entry.identity:
                self.unchanged += 1
                continue
            (self.added if known is None else self.replaced).append(entry.name)
            self.warnings += [f"{entry.name}: {warning}" for warning in entry.warnings]
            self._new.add((adapter, entry), at_work(entry))

    def flush(self) -> None:
        """Factorise what is new; it is written while the next adapters are read and factorised."""
        if new := self._new.taken():
            factored = self._factor(new)
            self._wait()
            if factored.entries:
                self._written = self._pool.submit(self.writer.append, factored)

    def gone(self, roots: Sequence[str]) -> tuple[str, ...]:
        """Names of adapters in the store that came from below these folders, where they are no more."""
        self._wait()
        return tuple(
            entry.name
            for entry in self.store.entries
            if entry.source not in self.sources and any(is_below(entry.source, root) for root in roots)
        )

    def settle(self, removed: tuple[str, ...]) -> None:
        """Record what was skipped up to now, and remove adapters with the batches of which nothing is left."""
        before = [(path, reason) for path, reason in self.store.skipped if path not in self.sources]
        skipped = (*before, *((os.path.abspath(item.path), item.reason) for item in self.skipped))
        if removed or skipped != self.store.skipped:
            self.writer.append(removed=removed, skipped=skipped)
        if removed:
            now = FactorStore(self.writer.storage)
            used = {place.batch for place in now.places}
            for name, batch in now.batches.items():
                if batch.entries and name not in used:
                    self.writer.drop(name)

    def _named(self, entry: Entry) -> Entry:
        """The entry under the name that the store has for its files, with the identity that its factors have there.

        Raises:
            TaskvecError: the store has this name for other files, which are still there.
        """
        if self.writer.root.dtype != "float32":
            text = f"{entry.identity} {self.writer.root.dtype}"
            entry = replace(entry, identity=sha256(text.encode()).hexdigest())
        known = self.by_name.get(entry.name)
        if known is None:
            others = self.by_source.get(entry.source, [])
            return replace(entry, name=others[0].name) if len(others) == 1 else entry
        if known.source != entry.source and known.identity != entry.identity and os.path.exists(known.source):
            got, fix = f"{known.source} and {entry.source}", "rename one of the folders, or use another store"
            raise TaskvecError(f"two adapters have the name {entry.name!r} in the store", got=got, fix=fix)
        return entry

    def _factor(self, new: Sequence[tuple[Adapter, Entry]]) -> Factored:
        try:
            return self._factored(new)
        except TaskvecError:
            if not self.skip_bad:
                raise
        return self._factored(list(self._readable(new)))

    def _factored(self, new: Sequence[tuple[Adapter, Entry]]) -> Factored:
        adapters, entries = [adapter for adapter, _ in new], [entry for _, entry in new]
        return factor(adapters, entries, self.writer.root, self.sketch, self._memory)

    def _readable(self, new: Sequence[tuple[Adapter, Entry]]) -> Iterator[tuple[Adapter, Entry]]:
        """Those whose files are still what they were; the others are skipped."""
        for adapter, entry in new:
            try:
                for module in adapter.modules.values():
                    module.update()
            except TaskvecError as error:
                self.skip(adapter.path, error)
                for names in (self.added, self.replaced):
                    names[:] = [name for name in names if name != entry.name]
                continue
            yield adapter, entry

    def _wait(self) -> None:
        """For the batch that is being written; what went wrong is raised here."""
        if self._written is not None:
            self._written.result()
            self._written = None


@dataclass
class Pile(Generic[T]):
    """Adapters that wait, until their factors fill a part of the memory."""

    memory: int
    items: list[T] = field(default_factory=list)
    bytes: int = 0

    def add(self, item: T, size: int) -> None:
        self.items.append(item)
        self.bytes += size

    @property
    def is_full(self) -> bool:
        return len(self.items) >= MOST_ADAPTERS or self.bytes * PARTS >= self.memory

    def taken(self) -> list[T]:
        """All of them; none are left."""
        items, self.items, self.bytes = self.items, [], 0
        return items


def at_work(adapter: Adapter | Entry) -> int:
    """Bytes of an adapter's factors, or of the file that it waits in where that is more."""
    return max(factor_bytes(adapter), min(KEPT_BYTES, FP32_BYTES * adapter.parameters))


def sketcher(root: Root) -> Sketch | None:
    """What makes the sketches of a store; None where it has none."""
    return partial(sketched_arrays, size=root.sketch, seed=root.sketch_seed) if root.sketch else None


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _listed(given: Iterable[str | Path] | str | Path) -> list[str | Path]:
    return [given] if isinstance(given, str | Path) else list(given)


def _folders(given: Iterable[str | Path] | str | Path) -> list[str]:
    return [os.path.abspath(path) for path in _listed(given) if os.path.isdir(path)]
