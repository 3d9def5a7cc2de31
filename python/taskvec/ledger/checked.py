"""A stored result as xarray reads it: every chunk is compared with the ledger."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import xarray as xr
import zarr
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from ..errors import TaskvecError
from ..storage import TAIL, open_storage
from .arrays import METADATA, is_group, read_attributes
from .chunks import is_whole
from .records import Ledger
from .seals import SEAL

Chunks = Literal["auto"] | dict[str, int] | None


def open_dataset(place: str | Path, chunks: Chunks = None) -> xr.Dataset:
    """The dataset of a Zarr group; its coordinates are in memory.

    Args:
        place: a folder or URL.
        chunks: as ``xarray.open_zarr`` takes them.

    Raises:
        TaskvecError: the metadata is not what was written, or is of an earlier version; when values are read: a chunk
            is not the one that was written.
    """
    ledger = Ledger(open_storage(place))
    ledger.refresh()
    has_ledger = bool(ledger.newest or ledger.spoilt)
    attributes = read_attributes(ledger.folder)
    if has_ledger and not is_group(ledger.folder.read(METADATA)):
        if attributes and SEAL not in attributes:
            what, fix = "was written by an earlier version", "sweep again with --overwrite"
            raise TaskvecError(what, where=ledger.folder.url, fix=fix)
        raise damaged(ledger, METADATA, "is damaged")
    store: Any = zarr.open_group(ledger.folder.url, mode="r").store
    if has_ledger:
        store = CheckedStore(store, ledger, attributes.get("complete") == 1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Failed to open Zarr store with consolidated metadata")
        dataset: xr.Dataset = xr.open_zarr(store, chunks=chunks)
    if has_ledger:
        del dataset.attrs[SEAL]
    return dataset.assign_coords({name: array.load() for name, array in dataset.coords.items()})


class CheckedStore(WrapperStore[Store]):
    """A store whose chunks are those of the ledger: a missing, damaged or foreign one is an error that names it."""

    def __init__(self, store: Store, ledger: Ledger, complete: bool) -> None:
        super().__init__(store)
        self.ledger = ledger
        self.complete = complete  # then every chunk is in the ledger
        self._recorded = recorded(ledger)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        found = await self._store.get(key, prototype, byte_range)
        if byte_range is None and "/c/" in key and not key.endswith(METADATA):
            data = None if found is None else found.to_bytes()
            if not self._is_recorded(key, data):
                self.ledger.refresh()  # it may have been computed again since
                self._recorded = recorded(self.ledger)
                if not self._is_recorded(key, data):
                    what = "is missing" if data is None else "is damaged or not of this result"
                    raise damaged(self.ledger, key, what)
            if key not in self._recorded:
                if self.complete and found is not None:
                    raise damaged(self.ledger, key, "is not in the ledger")
                return None  # not committed yet
        return found

    def _is_recorded(self, key: str, data: bytes | None) -> bool:
        wanted = self._recorded.get(key)
        return wanted is None or (data is not None and (len(data), data[-TAIL:].hex()) == wanted and is_whole(data))

    def _with_store(self, store: Store) -> CheckedStore:
        return CheckedStore(store, self.ledger, self.complete)


def damaged(ledger: Ledger, name: str, what: str) -> TaskvecError:
    fix = f"taskvec verify {ledger.folder.url} --repair computes it again"
    return TaskvecError(what, where=f"{ledger.folder.url}/{name}", fix=fix)


def recorded(ledger: Ledger) -> dict[str, tuple[int, str]]:
    """Size and checksum of every chunk."""
    return {name: found for record in ledger.newest.values() for name, found in record.chunks.items()}
