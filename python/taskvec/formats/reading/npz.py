"""The arrays of an ``.npz`` file, without pickles and without unpacking more than the file says it holds."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as numpy_format
from torch import Tensor

npy: Any = numpy_format  # whose types numpy does not give in full

MAX_ARRAYS = 100_000
# what compression of numbers can reach in earnest; a bomb is a thousand times denser
MAX_RATIO = 100
DTYPES = ("float64", "float32", "float16")
# what zipfile, zlib and numpy raise on bytes that are no archive
BROKEN = (ValueError, RuntimeError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class NpzError(ValueError):
    """Why a file is no archive of arrays that can be trusted; the caller names the file."""


class NpzFile:
    """An ``.npz`` file: shapes by name from the arrays' headers, and arrays as tensors when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
                self._check(entries, path.stat().st_size)
                self.shapes = {entry.filename.removesuffix(".npy"): _shape(archive, entry) for entry in entries}
        except BROKEN as error:
            raise (
                error if isinstance(error, NpzError) else NpzError(f"is not an archive of arrays ({error})")
            ) from error

    @staticmethod
    def _check(entries: list[zipfile.ZipInfo], size: int) -> None:
        if len(entries) > MAX_ARRAYS:
            raise NpzError(f"claims {len(entries)} arrays, expected at most {MAX_ARRAYS}")
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > MAX_RATIO * size:
            raise NpzError(f"unpacks {size} bytes to {unpacked}")
        names = [entry.filename for entry in entries]
        if len(set(names)) < len(names):
            raise NpzError("has an array twice")
        odd = next((name for name in names if not name.endswith(".npy")), None)
        if odd is not None:
            raise NpzError(f"holds {odd[:80]!r}, which is not an array")

    def tensor(self, name: str) -> Tensor:
        """The array ``name``; NpzError for a dtype that is no float."""
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{name}.npy") as file:
                array = npy.read_array(file, allow_pickle=False, max_header_size=10_000)
        except BROKEN as error:
            raise NpzError(f"has {name[:80]!r} that cannot be read ({error})") from error
        if array.dtype.newbyteorder("=").name not in DTYPES:
            raise NpzError(f"has {name[:80]!r} of dtype {array.dtype}, expected {', '.join(DTYPES)}")
        return torch.from_numpy(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")))


def _shape(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[int, ...]:
    """The shape of an array, whose size must be what the archive says."""
    try:
        with archive.open(entry) as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(file, max_header_size=10_000)
            if dtype.hasobject:
                raise NpzError(f"has {entry.filename[:80]!r} of Python objects, which only a pickle can hold")
            if math.prod(shape) * dtype.itemsize != entry.file_size - file.tell():
                raise NpzError(f"has {entry.filename[:80]!r} of shape {shape} in {entry.file_size} bytes")
    except BROKEN as error:
        raise error if isinstance(error, NpzError) else NpzError(f"has {entry.filename[:80]!r}: {error}") from error
    return tuple(int(size) for size in shape)
