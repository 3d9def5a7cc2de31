"""Chunks of Zarr v3 arrays: byte-shuffled lz4, and CRC-32C at the end, as zarr itself reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import blosc  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ..storage import TAIL, Storage

LEVEL = 5  # of blosc
# a thread compresses and writes so many chunks, or bytes of values: more threads for few take more core time
TOGETHER, TOGETHER_BYTES = 64, 16 * 2**20
WRITERS = 4  # such threads
Named = tuple[str, NDArray[Any]]
Written = dict[str, tuple[int, str]]  # size and checksum, in hexadecimal, of files by name


def codecs(itemsize: int) -> list[dict[str, Any]]:
    """What an array's metadata say of its chunks."""
    compressor = {"typesize": itemsize, "cname": "lz4", "clevel": LEVEL, "shuffle": "shuffle", "blocksize": 0}
    return [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "blosc", "configuration": compressor},
        {"name": "crc32c"},
    ]


def encode(values: NDArray[Any]) -> bytes:
    """The bytes of one chunk; the same for the same values."""
    blosc.use_threads = False  # with threads, parts come in the order in which they are ready; zarr says so too
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    itemsize = values.dtype.itemsize
    packed: bytes = blosc.compress(values.reshape(-1).view(np.uint8), b"lz4", LEVEL, blosc.SHUFFLE, 0, itemsize)
    return packed + checksum(packed)


def write_chunks(folder: Storage, chunks: Iterable[Named]) -> Written:
    """Chunks by name to where a store is; what the ledger has of them."""
    found = Written()

    def write(some: Sequence[Named]) -> Written:
        files = {name: encode(values) for name, values in some}
        folder.write_all(files)
        return {name: (len(data), data[-TAIL:].hex()) for name, data in files.items()}

    with ThreadPoolExecutor(WRITERS) as pool:
        for written in pool.map(write, together(chunks)):
            found |= written
    return found


def together(chunks: Iterable[Named]) -> Iterator[list[Named]]:
    """TOGETHER chunks at a time, or so many that TOGETHER_BYTES are reached."""
    some, size = list[Named](), 0
    for chunk in chunks:
        some.append(chunk)
        size += chunk[1].nbytes
        if len(some) == TOGETHER or size >= TOGETHER_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def decode(data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The values of a chunk that ``is_whole``."""
    return np.frombuffer(blosc.decompress(data[:-TAIL]), dtype.newbyteorder("<")).reshape(shape)


def checksum(data: bytes | NDArray[np.uint8]) -> bytes:
    """CRC-32C, as it stands at the end of a chunk."""
    return int(google_crc32c.value(data)).to_bytes(TAIL, "little")


def is_whole(data: bytes) -> bool:
    """Whether the checksum at the end is that of the rest."""
    return len(data) > TAIL and checksum(data[:-TAIL]) == data[-TAIL:]
