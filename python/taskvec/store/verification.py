"""Every byte of a store against its checksums."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import TaskvecError
from ..progress import Advance
from ..storage import Storage, open_storage
from .factor_store import array_names, read_batch, shard_of
from .manifest import Batch, ShapeClass
from .opening import BATCHES, METADATA, Root, batches, group_text, open_root, root_attributes
from .shards import ABSENT, Shard
from .writer import opened


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written.

    Attributes:
        file: its name in the store.
        what: is wrong.
        adapters: those of the store whose factors are in what is wrong.
        text: what it should be, where that is known.
    """

    file: str
    what: str
    adapters: tuple[str, ...] = ()
    text: bytes | None = None


@dataclass(frozen=True)
class Verified:
    """How much was read, and what is wrong."""

    files: int
    chunks: int
    damaged: tuple[Damage, ...]


def verify_store(place: str | Path, advance: Advance = lambda steps: None) -> Verified:
    """Read all of a store, but what was replaced or removed; ``advance`` is told of each batch.

    Raises:
        TaskvecError: it is no store, or its own ``zarr.json`` is damaged.

    Cost:
        Every file is read once.
    """
    storage = open_storage(place)
    root = open_root(storage)
    files = chunks = 0
    damaged: list[Damage] = []
    expected = {METADATA: group_text(root_attributes(root)), f"{BATCHES}/{METADATA}": group_text({})}
    whole: dict[str, Batch] = {}
    for name in batches(storage):
        file = f"{BATCHES}/{name}/{METADATA}"
        try:
            whole[name] = read_batch(storage, name, {})
        except TaskvecError as error:
            damaged.append(Damage(file, error.what))
    alive = latest(whole)
    for name, batch in whole.items():
        file = f"{BATCHES}/{name}/{METADATA}"
        expected[file] = group_text(batch.attributes())
        for found in batch.classes:
            expected[f"{BATCHES}/{name}/{found.name}/{METADATA}"] = group_text({})
            for array in array_names(root):
                shard = shard_of(name, found, array, root)
                expected[f"{shard.name}/{METADATA}"] = json.dumps(shard.metadata).encode()
                files += 1
                chunks += shard.shape[0] * shard.chunks
                damaged += damage_of(storage, shard, found, alive[name])
        advance(1)
    begun = {name.split("/")[1] for name in storage.names(BATCHES) if name.count("/") > 1}
    what = "has no zarr.json: an ingest writes it or was stopped, which the next one mends, or the file was deleted"
    damaged += [Damage(f"{BATCHES}/{name}", what) for name in sorted(begun - {*batches(storage)})]
    for file, text in expected.items():
        files += 1
        try:
            if storage.read(file) != text:
                damaged.append(Damage(file, "is not what was written", text=text))
        except FileNotFoundError:
            damaged.append(Damage(file, "is missing", text=text))
    return Verified(files, chunks, tuple(damaged))


def repair_store(place: str | Path, damaged: Sequence[Damage]) -> tuple[str, ...]:
    """Write again what is known without the adapters, and forget the adapters that are damaged.

    Returns:
        Names of adapters that are no longer in the store, as far as they are known: the next ingest adds them again.

    Raises:
        TaskvecError: another process writes to the store.
    """
    storage = open_storage(place)
    with opened(storage, Root()) as writer:
        for one in damaged:
            if one.text is not None:
                storage.write(one.file, one.text)
            elif one.file.count("/") == 2:  # the description of a batch
                writer.drop(one.file.split("/")[1])
        forgotten = sorted({name for one in damaged for name in one.adapters})
        if forgotten:
            writer.append(removed=tuple(forgotten))
    return tuple(forgotten)


def latest(whole: Mapping[str, Batch]) -> dict[str, dict[int, str]]:
    """By batch, the places of adapters that are in the store, and their names."""
    at: dict[str, tuple[str, int]] = {}
    for name, batch in whole.items():
        for removed in batch.removed:
            at.pop(removed, None)
        at |= {entry.name: (name, place) for place, entry in enumerate(batch.entries)}
    found: dict[str, dict[int, str]] = {name: {} for name in whole}
    for adapter, (name, place) in at.items():
        found[name][place] = adapter
    return found


def damage_of(storage: Storage, shard: Shard, found: ShapeClass, alive: Mapping[int, str]) -> Iterator[Damage]:
    """What is wrong of a shard, where it has factors of adapters that are in the store."""

    def of(places: Sequence[int]) -> tuple[str, ...]:
        return tuple(alive[place] for place in places if place in alive)

    try:
        index = shard.read_index(storage)
    except TaskvecError as error:
        if names := of(found.adapters):
            yield Damage(shard.file, error.what, names)
        return
    for row in range(shard.shape[0]):
        for chunk in np.flatnonzero(index[row, :, 0] != ABSENT).tolist():
            try:
                for _ in shard.read(storage, index, row, [chunk]):
                    pass
            except TaskvecError as error:
                slots = found.adapters[chunk * shard.slots : (chunk + 1) * shard.slots]
                if names := of(slots):
                    yield Damage(shard.file, error.what, names)


def batch_count(place: str | Path) -> int:
    """For the progress of ``verify_store``."""
    return len(batches(open_storage(place)))
