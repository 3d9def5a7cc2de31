"""Every byte of a store against its checksums."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import TaskvecError
from ..progress import Advance
from ..storage import Storage, open_storage
from .factor_store import array_names, read_batch, shard_of
from .manifest import Batch, ShapeClass
from .opening import BATCHES, METADATA, batches, group_text, open_root, root_attributes
from .shards import ABSENT, Shard


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written, and the adapters whose factors are in what is wrong of it."""

    file: str
    what: str
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verified:
    """How much was read, and what is wrong."""

    files: int
    chunks: int
    damaged: tuple[Damage, ...]


def verify_store(place: str | Path, advance: Advance = lambda steps: None) -> Verified:
    """Read all of a store; ``advance`` is told of each batch.

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
    for name in batches(storage):
        file = f"{BATCHES}/{name}/{METADATA}"
        try:
            batch = read_batch(storage, name, {})
        except TaskvecError as error:
            damaged.append(Damage(file, error.what))
            continue
        expected[file] = group_text(batch.attributes())
        for found in batch.classes:
            expected[f"{BATCHES}/{name}/{found.name}/{METADATA}"] = group_text({})
            for array in array_names(root):
                shard = shard_of(name, found, array, root)
                expected[f"{shard.name}/{METADATA}"] = json.dumps(shard.metadata).encode()
                files += 1
                chunks += shard.shape[0] * shard.chunks
                damaged += damage_of(storage, shard, batch, found)
        advance(1)
    whole = set(batches(storage))
    begun = {name.split("/")[1] for name in storage.names(BATCHES) if name.count("/") > 1}
    what = "has no zarr.json: an ingest writes it or was stopped, which the next one mends, or the file was deleted"
    damaged += [Damage(f"{BATCHES}/{name}", what) for name in sorted(begun - whole)]
    for file, text in expected.items():
        files += 1
        try:
            if storage.read(file) != text:
                damaged.append(Damage(file, "is not what was written"))
        except FileNotFoundError:
            damaged.append(Damage(file, "is missing"))
    return Verified(files, chunks, tuple(damaged))


def damage_of(storage: Storage, shard: Shard, batch: Batch, found: ShapeClass) -> Iterator[Damage]:
    """What is wrong of a shard."""
    try:
        index = shard.read_index(storage)
    except TaskvecError as error:
        yield Damage(shard.file, error.what, tuple(batch.entries[i].name for i in found.adapters))
        return
    for row in range(shard.shape[0]):
        for chunk in np.flatnonzero(index[row, :, 0] != ABSENT).tolist():
            try:
                for _ in shard.read(storage, index, row, [chunk]):
                    pass
            except TaskvecError as error:
                slots = found.adapters[chunk * shard.slots : (chunk + 1) * shard.slots]
                yield Damage(shard.file, error.what, tuple(batch.entries[i].name for i in slots))


def batch_count(place: str | Path) -> int:
    """For the progress of ``verify_store``."""
    return len(batches(open_storage(place)))
