"""Chunks of Zarr v3 arrays: byte-shuffled lz4, and CRC-32C at the end, as zarr itself reads and writes them."""

from __future__ import annotations

from typing import Any

import google_crc32c
import numpy as np
from numcodecs import blosc  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ..storage import TAIL

LEVEL = 5  # of blosc


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


def decode(data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The values of a chunk that ``is_whole``."""
    return np.frombuffer(blosc.decompress(data[:-TAIL]), dtype.newbyteorder("<")).reshape(shape)


def checksum(data: bytes | NDArray[np.uint8]) -> bytes:
    """CRC-32C, as it stands at the end of a chunk."""
    return int(google_crc32c.value(data)).to_bytes(TAIL, "little")


def is_whole(data: bytes) -> bool:
    """Whether the checksum at the end is that of the rest."""
    return len(data) > TAIL and checksum(data[:-TAIL]) == data[-TAIL:]
