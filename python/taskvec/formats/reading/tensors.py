"""Tensors of a weights file by name, never through a model: safetensors, and torch.save's zip (``.bin``)."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ...errors import TaskvecError
from .files import file_errors, refuse_lfs_pointer
from .header import BITS, Run, read_header
from .held import FileState, Held, held, kept, pieces, read_piece

PICKLES = (".bin", ".pt", ".pth", ".ckpt")
DTYPES = {
    name: dtype
    for name, kind in {
        "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64", "BOOL": "bool",
        "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
        "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
        "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
        "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
    }.items()
    if isinstance(dtype := getattr(torch, kind, None), torch.dtype)
}  # fmt: skip
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INFINITY = {"F64": 0x7FF << 52, "F32": 0xFF << 23, "F16": 0x1F << 10, "BF16": 0xFF << 7}  # the bits of +Inf
CONVERT = "save the adapter again as safetensors, in float32 or a half precision"


class Values(NamedTuple):
    """What is known of a tensor's numbers; integers are finite."""

    dtype: torch.dtype
    finite: bool


class TensorFile(Protocol):
    """A weights file: what is in it without reading data, and its tensors, read when they are asked for."""

    path: Path
    shapes: dict[str, tuple[int, ...]]

    def tensor(self, name: str) -> Tensor: ...

    def rows(self, name: str, first: int, last: int) -> Tensor:
        """``tensor(name)[first:last]``, read without the rest where the file allows it."""

    def values(self, name: str) -> Values:
        """What is known of the numbers of a tensor; a file may look at all of its tensors when it is first asked."""


def values_of(tensor: Tensor) -> Values:
    """``TensorFile.values`` of a tensor that is there."""
    return Values(tensor.dtype, tensor.dtype not in FLOATS or is_finite(tensor))


def is_finite(tensor: Tensor) -> bool:
    """Whether no float is NaN or Inf: the extremes pass NaN on, and need no temporary."""
    return not tensor.numel() or all(map(math.isfinite, map(float, tensor.aminmax())))


def open_tensors(path: Path) -> TensorFile:
    """Open a ``.safetensors`` or ``.bin`` file and check what it says of itself.

    Raises:
        TaskvecError: the file is unreadable, broken, too large for what it says it holds, or of another kind.
    """
    file: TensorFile = _Pickle(path) if _is_pickle(path) else _Safetensors(path)
    for name in file.shapes:
        if not _is_unicode(name):
            raise TaskvecError(f"has a tensor name that is not Unicode: {name!r}", where=path, fix=CONVERT)
    return file


def _is_pickle(path: Path) -> bool:
    """By the file's usual suffix; a file of another name by whether it starts as a zip archive."""
    if path.suffix in (".safetensors", *PICKLES):
        return path.suffix != ".safetensors"
    with file_errors(path), open(path, "rb") as file:
        return file.read(2) == b"PK"


class _Safetensors:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._header = read_header(path)
        with file_errors(path):
            self._kept = kept(path)
        self.shapes = self._header.layout.shapes

    def values(self, name: str) -> Values:
        dtype = self._dtype(name)
        return Values(dtype, dtype not in FLOATS or name not in self._not_finite)

    @cached_property
    def _not_finite(self) -> frozenset[str]:
        """The tensors with NaN or Inf: the whole file is read, once."""
        with file_errors(self.path):
            odd = {run for run, part in self._parts() if not _is_finite(part, run.dtype)}
        return frozenset(name for run in odd for name in run.names if not is_finite(self.tensor(name)))

    def _parts(self) -> Iterator[tuple[Run, memoryview]]:
        """The bytes of every run: from memory where the file is held, else piece by piece."""
        start, state, runs = self._header.start, self._header.state, self._header.layout.runs
        if (whole := self._whole()) is not None:
            data = whole.data
            return ((run, data[start + run.begin : start + run.end]) for run in runs)
        cuts = [start, *(start + run.end for run in runs)]
        return ((runs[i - 1], piece) for i, piece in pieces(self.path, state, cuts) if i)

    def _dtype(self, name: str) -> torch.dtype:
        dtype = DTYPES.get(entry := self._header.layout.entries[name].dtype)
        if dtype is None:
            raise TaskvecError(f"has {name} of a dtype that torch lacks ({entry})", where=self.path, fix=CONVERT)
        return dtype

    def tensor(self, name: str) -> Tensor:
        return self.rows(name, 0, next(iter(self.shapes[name]), 1))

    def rows(self, name: str, first: int, last: int) -> Tensor:
        entry, dtype = self._header.layout.entries[name], self._dtype(name)
        shape = (last - first, *entry.shape[1:]) if entry.shape else ()
        count, row = math.prod(shape), math.prod(entry.shape[1:]) * dtype.itemsize
        if not count:
            return torch.empty(shape, dtype=dtype)
        begin = self._header.start + entry.begin + first * row
        with file_errors(self.path):
            whole = self._whole()
            data: bytearray | memoryview
            if whole is None or begin % dtype.itemsize:
                data, offset = read_piece(self.path, self._header.state, begin, count * dtype.itemsize), 0
            else:
                data, offset = whole.data, begin
        return torch.frombuffer(data, dtype=dtype, count=count, offset=offset).reshape(shape)

    def _whole(self) -> Held | None:
        """The content, where it is in memory and still that of the file."""
        if (whole := held(self.path)) is not None:
            return whole if whole.state == self._header.state else None
        if self._kept is not None:
            self._header.state.check(FileState.of(self.path), self.path)
        return self._kept

    def __reduce__(self) -> tuple[Any, ...]:
        return _again(self.path)


def _is_finite(data: memoryview, dtype: str) -> bool:
    """Whether numbers of a dtype are finite; of any but floats they are.

    NaN and Inf are the largest bit patterns of their sign: read as signed integers, those of positive numbers are the
    largest, read as unsigned ones, those of negative numbers. The maxima take one thread and no temporary.
    """
    if dtype not in INFINITY or not data:
        return True
    size = BITS[dtype] // 8
    bits, sign = np.frombuffer(data, f"<u{size}"), 1 << (8 * size - 1)
    return int(bits.view(f"<i{size}").max()) < INFINITY[dtype] and int(bits.max()) < sign + INFINITY[dtype]


def open_bare_list(path: Path) -> TensorFile:
    """Open a pickle of torch.save that is a list of tensors; their places are their names.

    Raises:
        TaskvecError: as ``open_tensors``.
    """
    return _Pickle(path, is_list=True)


class _Pickle:
    def __init__(self, path: Path, is_list: bool = False) -> None:
        self.path, self.is_list = path, is_list
        with file_errors(path):
            self._state = FileState.of(path)
        tensors = _load_pickle(path, self._state, is_list)
        self.shapes = {name: tuple(value.shape) for name, value in tensors.items()}

    def tensor(self, name: str) -> Tensor:
        with file_errors(self.path):
            self._state.check(FileState.of(self.path), self.path)
        # not a view of the map, which breaks if the file shrinks
        return _load_pickle(self.path, self._state, self.is_list)[name].clone()

    def rows(self, name: str, first: int, last: int) -> Tensor:
        return self.tensor(name)[first:last]

    def values(self, name: str) -> Values:
        return values_of(self.tensor(name))

    def __reduce__(self) -> tuple[Any, ...]:
        return (open_bare_list, (Path(os.path.abspath(self.path)),)) if self.is_list else _again(self.path)


def _again(path: Path) -> tuple[Any, ...]:
    """How another process opens the file: pickles carry no tensors."""
    return open_tensors, (Path(os.path.abspath(path)),)


@lru_cache(maxsize=64)  # a process may have 65,530 maps
def _load_pickle(path: Path, state: FileState, is_list: bool) -> dict[str, Tensor]:
    """The tensors of a file in this state, in a map."""
    with file_errors(path), open(path, "rb") as file:
        refuse_lfs_pointer(path, file.read(64))
    size = state.size
    _check_zip(path, size)
    try:
        document = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a hostile pickle can make the loader raise anything
        reason = str(error).split("\n")[0][:200]
        raise TaskvecError(f"cannot be loaded safely ({reason})", where=path, fix=CONVERT) from error
    if is_list and isinstance(document, list):
        document = {str(place): value for place, value in enumerate(document)}
    if not isinstance(document, dict):
        got = f"a {type(document).__name__}"
        raise TaskvecError("is not a state dict", where=path, got=got, expected="tensors by name", fix=CONVERT)
    return _check_tensors(path, document, size)


def _check_zip(path: Path, size: int) -> None:
    """torch.save stores without compression, so a file that would unpack to more than itself is no such file."""
    try:
        with file_errors(path), zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        what = f"is not a torch.save file (no zip archive: {error}; torch before 1.6 wrote another kind)"
        raise TaskvecError(what, where=path, fix=CONVERT) from error
    except (ValueError, NotImplementedError) as error:
        # a table of contents that leads out of the file, or of a kind of zip that torch.save never writes
        raise TaskvecError(f"is a zip archive that cannot be read ({error})", where=path, fix=CONVERT) from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or _total(entries) > size:
        raise TaskvecError("is a compressed archive, which torch.save never writes", where=path, fix=CONVERT)


def _total(entries: Iterable[zipfile.ZipInfo]) -> int:
    return sum(entry.file_size for entry in entries)


def _check_tensors(path: Path, document: dict[Any, Any], size: int) -> dict[str, Tensor]:
    tensors = {}
    total = 0
    for name, value in document.items():
        ordinary = type(value) in (Tensor, torch.nn.Parameter) and value.layout == torch.strided
        if not isinstance(name, str) or not ordinary or value.device.type != "cpu":
            what = f"holds {type(value).__name__} {str(name)[:80]!r}, which is not a plain tensor with a name"
            raise TaskvecError(what, where=path, fix=CONVERT)
        tensors[name] = value.detach()
        total += value.numel() * value.element_size()
    # a stride of 0 makes any size out of one number; tied tensors may count twice
    if total > 2 * size:
        raise TaskvecError(f"claims {total} bytes of tensors in a file of {size}", where=path, fix=CONVERT)
    return tensors


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
