"""Arrays as Zarr v3 keeps them in one shard each: small inner chunks with checksums, and an index of where they are.

Written and read here, because zarr takes a good many times as long for as many small chunks; what it reads is the same.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TaskvecError
from ..ledger.chunks import checksum
from ..storage import TAIL, Storage

ABSENT = 2**64 - 1  # offset and length of a chunk that is not there: it is zeros
MOST_READ = 2**22  # bytes in one call, where a chunk has fewer
KEPT = threading.local()  # the buffer that a thread reads into
RESTORE = "restore it from a copy, or ingest its adapters again into a new store"
Values = NDArray[Any]


@dataclass(frozen=True)
class Shard:
    """One array (L modules, N slots, …) of a batch, whole in one shard; an inner chunk is one module of some slots.

    Attributes:
        name: of the array in the store.
        shape: (L, N, …).
        dtype: of numpy.
        dims: their names.
        chunk_bytes: of an inner chunk, where a slot has fewer.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dims: tuple[str, ...]
    chunk_bytes: int

    @cached_property
    def slots(self) -> int:
        """Slots of an inner chunk."""
        each = max(1, prod(self.shape[2:]) * self.dtype.itemsize)
        return max(1, min(self.shape[1], self.chunk_bytes // each))

    @property
    def chunks(self) -> int:
        """Inner chunks of a module."""
        return ceil(self.shape[1] / self.slots)

    @property
    def file(self) -> str:
        return "/".join([self.name, "c", *("0" for _ in self.shape)])

    @property
    def metadata(self) -> dict[str, Any]:
        """The array's ``zarr.json``."""
        order = {"name": "bytes", "configuration": {"endian": "little"}}
        checked = [order, {"name": "crc32c"}]
        inner = [1, self.slots, *self.shape[2:]]
        sharding = {"chunk_shape": inner, "codecs": checked, "index_codecs": checked, "index_location": "end"}
        whole = [self.shape[0], self.chunks * self.slots, *self.shape[2:]]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": whole}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0 if self.dtype.kind in "iu" else 0.0,
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": {},
            "dimension_names": list(self.dims),
            "storage_transformers": [],
        }

    def write(self, storage: Storage, values: Values, present: NDArray[np.bool_] | None = None) -> None:
        """The array's metadata and its shard.

        Args:
            storage: the store.
            values: of the shard's shape.
            present: (L, N); chunks of slots none of which is present are left out. None: all are.
        """
        storage.write(f"{self.name}/zarr.json", json.dumps(self.metadata).encode())
        storage.write(self.file, self.encode(values, present))

    def encode(self, values: Values, present: NDArray[np.bool_] | None = None) -> list[bytes | memoryview]:
        """The parts of the shard, one after the other; those of chunks are views of the values."""
        values = np.ascontiguousarray(values, self.dtype.newbyteorder("<"))
        L, N = self.shape[:2]
        index = np.full((L, self.chunks, 2), ABSENT, "<u8")
        parts: list[bytes | memoryview] = []
        end = 0
        for row in range(L):
            for chunk, first in enumerate(range(0, N, self.slots)):
                if present is not None and not present[row, first : first + self.slots].any():
                    continue
                piece = values[row, first : first + self.slots]
                if len(piece) < self.slots:
                    piece = np.concatenate([piece, np.zeros((self.slots - len(piece), *piece.shape[1:]), piece.dtype)])
                data = piece.reshape(-1).view(np.uint8)
                parts += [data.data, checksum(data)]
                length = len(data) + TAIL
                index[row, chunk] = end, length
                end += length
        table = index.reshape(-1).view(np.uint8)
        return [*parts, table.data, checksum(table)]

    def read_index(self, storage: Storage) -> NDArray[np.uint64]:
        """Offset and length of every inner chunk, (L, chunks, 2).

        Raises:
            TaskvecError: the file is not there, or not as it was written.
        """
        length = 16 * self.shape[0] * self.chunks + TAIL
        found = storage.tail(self.file)
        if found is None:
            raise self.wrong(storage, "is missing")
        if found[0] < length:
            raise self.wrong(storage, "is cut short")
        data = np.frombuffer(storage.read(self.file, found[0] - length, length), np.uint8)
        if checksum(data[:-TAIL]) != data[-TAIL:].tobytes():
            raise self.wrong(storage, "has a damaged index (its checksum differs)")
        return data[:-TAIL].view("<u8").reshape(self.shape[0], self.chunks, 2)

    def read(
        self, storage: Storage, index: NDArray[np.uint64], row: int, chunks: Sequence[int]
    ) -> Iterator[tuple[int, Values | None]]:
        """Ascending chunks of a module, each with its values (slots, …), None for zeros: valid until the next one.

        Chunks that follow each other in the file are read together, MOST_READ bytes at most unless one has more.

        Raises:
            TaskvecError: a chunk's checksum differs, or the file ends before it.
        """
        for run in runs(index[row], chunks):
            there = index[row, run[0]]
            if there[0] == ABSENT:
                yield from ((chunk, None) for chunk in run)
                continue
            start, each = int(there[0]), int(there[1])
            buffer = scratch(each * len(run))
            data = buffer[: storage.read_into(self.file, start, buffer.data)]
            for i, chunk in enumerate(run):
                piece = data[i * each : (i + 1) * each]
                if len(piece) < each or checksum(piece[:-TAIL]) != piece[-TAIL:].tobytes():
                    what = "is cut short" if len(piece) < each else "has a damaged chunk (its checksum differs)"
                    raise self.wrong(storage, what, f"module {row}, chunk {chunk}")
                values = piece[:-TAIL].view(self.dtype.newbyteorder("<"))
                yield chunk, values.reshape(self.slots, *self.shape[2:])

    def wrong(self, storage: Storage, what: str, got: str | None = None) -> TaskvecError:
        return TaskvecError(what, where=f"{storage.url}/{self.file}", got=got, fix=RESTORE)


def scratch(size: int) -> NDArray[np.uint8]:
    """Bytes of this thread, the same ones each time: fresh ones cost more than what is read into them."""
    if len(getattr(KEPT, "buffer", ())) < size:
        KEPT.buffer = np.empty(size, np.uint8)
    found: NDArray[np.uint8] = KEPT.buffer[:size]
    return found


def runs(index: NDArray[np.uint64], chunks: Sequence[int]) -> Iterator[list[int]]:
    """Ascending chunks in runs that lie next to each other in the file, and those that are not there by themselves."""
    run: list[int] = []
    for chunk in chunks:
        if run and (len(run) + 1) * int(index[chunk, 1]) > MOST_READ and index[chunk, 0] != ABSENT:
            yield run
            run = []
        if run:
            last = index[run[-1]]
            follows = (
                last[0] == ABSENT == index[chunk, 0]
                if ABSENT in (last[0], index[chunk, 0])
                else last[0] + last[1] == index[chunk, 0]
            )
            if not follows:
                yield run
                run = []
        run.append(chunk)
    if run:
        yield run
