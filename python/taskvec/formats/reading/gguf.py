"""The header and the tensors of a GGUF file, checked before anything is allocated by what it claims.

Format, little-endian: "GGUF", version, number of tensors, number of key-value pairs; the pairs; for each tensor name,
dimensions (the fastest first), type and offset; then the data, aligned to ``general.alignment``.
"""

from __future__ import annotations

import math
import os
import struct
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .held import FileState, read_bytes

MAX_TENSORS = 100_000
MAX_PAIRS = 10_000
MAX_STRING = 1 << 20
MAX_DIMENSIONS = 4
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# types of tensors that are not quantised
DTYPES = {0: torch.float32, 1: torch.float16, 28: torch.float64, 30: torch.bfloat16}


class GgufError(ValueError):
    """Why a file is no GGUF file that can be trusted; the caller names the file."""


class GgufTensor(NamedTuple):
    """Where one tensor lies; ``begin`` counts bytes from the start of the file."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None  # None: quantised
    begin: int


class GgufFile:
    """A GGUF file: ``metadata`` (scalars and strings, no arrays) and tensors as copies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with open(path, "rb") as file:
            self._state = FileState.of(file.fileno())
            if self._state.size < 24:
                raise GgufError(f"is too short for a GGUF file: {self._state.size} bytes")
            self.metadata, self.tensors = _header(_Cursor(file, self._state.size))
        self.shapes = {name: tensor.shape for name, tensor in self.tensors.items()}

    def tensor(self, name: str) -> Tensor:
        """The tensor ``name``; GgufError when it is quantised."""
        entry = self.tensors[name]
        if entry.dtype is None:
            raise GgufError(f"has {name!r} in a quantised type")
        count = math.prod(entry.shape)
        if count == 0:
            return torch.empty(entry.shape, dtype=entry.dtype)
        data = read_bytes(self.path, self._state, entry.begin, count * entry.dtype.itemsize)
        return torch.frombuffer(data, dtype=entry.dtype).reshape(entry.shape)


class _Cursor:
    """Reads forward through a file, and raises where it ends."""

    def __init__(self, file: BufferedReader, size: int) -> None:
        self.file, self.at, self.size = file, 0, size

    def take(self, count: int) -> bytes:
        self._advance(count)
        data = self.file.read(count)
        if len(data) < count:
            raise GgufError(f"ends at byte {self.at - count + len(data)}, and had {self.size} when it was opened")
        return data

    def skip(self, count: int) -> None:
        self._advance(count)
        self.file.seek(count, os.SEEK_CUR)

    def _advance(self, count: int) -> None:
        if count > self.size - self.at:
            raise GgufError(f"is truncated: {count} bytes wanted at byte {self.at} of {self.size}")
        self.at += count

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def string(self) -> str:
        length = self.number("Q")
        if length > MAX_STRING:
            raise GgufError(f"has a string of {length} bytes, expected at most {MAX_STRING}")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as error:
            raise GgufError("has a string that is not UTF-8") from error


def _header(cursor: _Cursor) -> tuple[dict[str, Any], dict[str, GgufTensor]]:
    if cursor.take(4) != b"GGUF":
        raise GgufError("does not start with GGUF")
    version, tensors, pairs = cursor.number("I"), cursor.number("Q"), cursor.number("Q")
    if version not in (2, 3):
        raise GgufError(f"has GGUF version {version}, expected 2 or 3, little-endian")
    if tensors > MAX_TENSORS or pairs > MAX_PAIRS:
        raise GgufError(f"claims {tensors} tensors and {pairs} pairs, expected at most {MAX_TENSORS} and {MAX_PAIRS}")
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
        key = cursor.string()
        if key in metadata:
            raise GgufError(f"has the key {key[:80]!r} twice")
        metadata[key] = _value(cursor, cursor.number("I"))
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 1 <= alignment <= 1 << 16:
        raise GgufError(f"has alignment {str(alignment)[:40]!r}")
    found: dict[str, tuple[tuple[int, ...], int, int]] = {}
    for _ in range(tensors):
        name = cursor.string()
        if name in found:
            raise GgufError(f"has the tensor {name[:80]!r} twice")
        found[name] = _tensor(cursor, name)
    start = -(-cursor.at // alignment) * alignment
    return metadata, {name: _placed(name, *entry, start, cursor.size) for name, entry in found.items()}


def _value(cursor: _Cursor, kind: int) -> Any:
    """A scalar or string; None for an array, which is passed over."""
    if kind == STRING:
        return cursor.string()
    if kind != ARRAY:
        return cursor.number(_code(kind))
    of, length = cursor.number("I"), cursor.number("Q")
    if of == ARRAY:
        raise GgufError("has an array of arrays")
    if of != STRING:
        cursor.skip(length * struct.calcsize(_code(of)))
        return None
    # each string takes 8 bytes at least, so that the file's size bounds the loop
    if length > (cursor.size - cursor.at) // 8:
        raise GgufError(f"is truncated: it claims an array of {length} strings")
    for _ in range(length):
        cursor.string()
    return None


def _code(kind: int) -> str:
    if kind not in SCALARS:
        raise GgufError(f"has a value of unknown type {kind}")
    return SCALARS[kind]


def _tensor(cursor: _Cursor, name: str) -> tuple[tuple[int, ...], int, int]:
    """(shape, type, offset) as the file has them, the shape with the slowest dimension first."""
    dimensions = cursor.number("I")
    if dimensions > MAX_DIMENSIONS:
        raise GgufError(f"has tensor {name[:80]!r} of {dimensions} dimensions, expected at most {MAX_DIMENSIONS}")
    shape = tuple(reversed([cursor.number("Q") for _ in range(dimensions)]))
    return shape, cursor.number("I"), cursor.number("Q")


def _placed(name: str, shape: tuple[int, ...], kind: int, offset: int, start: int, size: int) -> GgufTensor:
    dtype = DTYPES.get(kind)
    begin = start + offset
    # Python's integers do not overflow: a product of absurd sizes is only a large number
    length = math.prod(shape) * (dtype.itemsize if dtype else 0)
    if begin + length > size:
        raise GgufError(f"has tensor {name[:80]!r} at bytes {begin} to {begin + length} of a file of {size}")
    return GgufTensor(shape, dtype, begin)
