"""The header of a safetensors file, checked before anything else touches the file.

Format: 8 bytes little-endian length, that many bytes of JSON {name: {dtype, shape, data_offsets}}, then the data, which
the tensors fill without gap or overlap.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ...errors import TaskvecError
from .files import file_errors, refuse_lfs_pointer
from .held import FileState, held

MAX_HEADER_BYTES = 16 << 20  # 100,000 tensors
MAX_DIMENSIONS = 8
SHARED_BYTES = 1 << 17  # of a header that is kept for the files that have the same one
BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


class Entry(NamedTuple):
    """One tensor of the file; ``begin`` and ``end`` count bytes from the start of the data."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Run(NamedTuple):
    """Tensors of one dtype that lie one after the other: names, and bytes from the start of the data."""

    dtype: str
    names: tuple[str, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Layout:
    """The tensors of a file, in the order of the data; adapters that were trained alike share it."""

    entries: dict[str, Entry]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: entry.shape for name, entry in self.entries.items()}

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Tensors of one dtype together: all, where there is one dtype."""
        found: list[Run] = []
        for dtype, some in groupby(self.entries.items(), key=lambda item: item[1].dtype):
            entries = dict(some)
            first, *_, last = (*entries.values(), *entries.values())
            found.append(Run(dtype, tuple(entries), first.begin, last.end))
        return tuple(found)


class Header(NamedTuple):
    """What a safetensors file says of itself."""

    layout: Layout
    start: int  # where the data begins
    state: FileState


def read_header(path: Path) -> Header:
    """Every tensor of the safetensors file by name.

    Raises:
        TaskvecError: anything that makes the header unfit to be trusted, in one line.
    """
    with file_errors(path), open(path, "rb") as file:
        whole = held(path)
        state = whole.state if whole else FileState.of(file.fileno())
        size = len(whole.data) if whole else state.size
        start = bytes(whole.data[:64]) if whole else file.read(64)
        refuse_lfs_pointer(path, start)
        length = int.from_bytes(start[:8], "little")
        if size < 8:
            _refuse(path, f"is too short for a safetensors file: {size} bytes, expected at least 8")
        if length > size - 8:
            kind = "truncated" if start[8:9] == b"{" else f"no safetensors file (it starts with {start[:12]!r})"
            _refuse(path, f"has a header of {length} bytes in a file of {size}: {kind}")
        if length > MAX_HEADER_BYTES:
            _refuse(path, f"has a header of {length} bytes, expected at most {MAX_HEADER_BYTES}")
        file.seek(8)
        header = bytes(whole.data[8 : 8 + length]) if whole else file.read(length)
    return Header(parse_header(header, size - 8 - length, path), 8 + length, state)


def parse_header(header: bytes, data_size: int, where: Path) -> Layout:
    """Every tensor by name, from the header's JSON and the number of data bytes that follow it."""
    try:
        return (_shared if len(header) <= SHARED_BYTES else _parsed)(header, data_size)
    except _UnfitError as error:
        _refuse(where, str(error))


class _UnfitError(Exception):
    """Why a header cannot be trusted."""


def _parsed(header: bytes, data_size: int) -> Layout:
    try:
        document = json.loads(header.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _UnfitError(f"has a header that is not valid JSON ({error})") from error
    if not isinstance(document, dict):
        raise _UnfitError(f"has a header that is not a JSON object: {type(document).__name__}")
    document.pop("__metadata__", None)
    found = ((name, _entry(name, value)) for name, value in document.items())
    entries = dict(sorted(found, key=lambda item: (item[1].begin, item[1].end)))

    filled = 0
    for name, entry in entries.items():
        if entry.begin != filled:
            problem = "overlaps another tensor" if entry.begin < filled else "leaves a gap before it"
            raise _UnfitError(f"has tensor {name!r} at bytes {entry.begin} to {entry.end}, which {problem}")
        filled = entry.end
    if filled != data_size:
        problem = "truncated" if filled > data_size else "bytes left over at the end"
        raise _UnfitError(f"has {data_size} bytes of data, expected {filled}: {problem}")
    return Layout(entries)


_shared = lru_cache(maxsize=64)(_parsed)


def _entry(name: str, value: Any) -> Entry:
    if not isinstance(value, dict) or not {"dtype", "shape", "data_offsets"} <= value.keys():
        raise _UnfitError(f"has tensor {name!r} without dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise _UnfitError(f"has tensor {name!r} of unknown dtype {str(dtype)[:40]!r}")
    if not _sizes(shape) or len(shape) > MAX_DIMENSIONS:
        raise _UnfitError(f"has tensor {name!r} of impossible shape {str(shape)[:80]}")
    if not _sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _UnfitError(f"has tensor {name!r} with impossible data_offsets {str(offsets)[:80]}")
    bits = math.prod(shape) * BITS[dtype]
    if bits != 8 * (offsets[1] - offsets[0]):
        taken = f"{offsets[1] - offsets[0]} bytes, but {dtype} of shape {shape} takes {-(-bits // 8)}"
        raise _UnfitError(f"has tensor {name!r} in {taken}")
    return Entry(dtype, tuple(shape), offsets[0], offsets[1])


def _sizes(value: Any) -> bool:
    """Whether ``value`` is a list of sizes that fit a signed 64-bit integer."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a name occurs twice")
    return document


def _refuse(where: Path, what: str) -> NoReturn:
    raise TaskvecError(what, where=where, fix="download the file again, or save the adapter again")
