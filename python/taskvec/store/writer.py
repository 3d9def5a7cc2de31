"""Batches appended to a store by the one process that holds its lease."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import TaskvecError
from ..ledger.lease import Lease
from ..storage import Storage
from .factor_store import array_names, shard_of
from .factoring import Factored
from .manifest import Batch
from .opening import BATCHES, Root, batches, existing_root, make_root, write_group


class Writer:
    """Appends to a store; ``with opened(...)`` makes one.

    A batch counts from the moment at which its group's ``zarr.json`` is there, which is written last: what is killed
    before leaves files that the next writer removes.
    """

    def __init__(self, storage: Storage, root: Root, lease: Lease) -> None:
        self.storage, self.root, self.lease = storage, root, lease
        whole = set(batches(storage))
        begun = {name.split("/")[1] for name in storage.names(BATCHES) if name.count("/") > 1}
        self.next = max(map(int, whole), default=-1) + 1
        for name in {*(begun - whole), f"{self.next:06}"}:  # the last one also where it holds no whole file yet
            storage.remove_folder(f"{BATCHES}/{name}")

    def append(
        self,
        factored: Factored | None = None,
        *,
        removed: tuple[str, ...] = (),
        skipped: tuple[tuple[str, str], ...] | None = None,
    ) -> None:
        """One more batch; without adapters it only says what is removed or was skipped."""
        name = f"{self.next:06}"
        arrays = factored.arrays if factored else []
        for one in arrays:
            for array in array_names(self.root):
                shard_of(name, one.of, array, self.root).write(self.storage, one.values[array], one.present)
            write_group(self.storage, f"{BATCHES}/{name}/{one.of.name}", {})
        batch = Batch(
            factored.entries if factored else (),
            tuple(factored.errors) if factored else (),
            tuple(one.of for one in arrays),
            removed,
            skipped,
        )
        self.lease.check()
        write_group(self.storage, f"{BATCHES}/{name}", batch.attributes())
        self.next += 1

    def drop(self, name: str) -> None:
        """Remove a batch none of whose adapters is in the store any more: first what makes it count."""
        self.storage.remove(f"{BATCHES}/{name}/zarr.json")
        self.storage.remove_folder(f"{BATCHES}/{name}")


@contextmanager
def opened(storage: Storage, wanted: Root) -> Iterator[Writer]:
    """A writer of the store that is there, or of a new one as wanted.

    Raises:
        TaskvecError: another process writes to it; the place is taken by something else, or cannot be written to.
    """
    existing_root(storage)  # nothing is written to what is not ours
    with write_errors(storage), Lease(storage, "ingested into") as lease:
        yield Writer(storage, make_root(storage, wanted), lease)


@contextmanager
def write_errors(storage: Storage) -> Iterator[None]:
    """What the system refuses, in one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what, fix = "the disk is full", "free some space and run the same command again: what is whole stays"
        else:
            what, fix = f"cannot be written to ({error.strerror or error})", "choose another output path"
        raise TaskvecError(what, where=storage.url, fix=fix) from error
