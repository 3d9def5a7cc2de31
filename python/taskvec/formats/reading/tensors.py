"""Tensors of a weights file by name, mapped, never through a model: safetensors, and torch.save's zip (``.bin``)."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...errors import TaskvecError
from .files import file_errors, refuse_lfs_pointer
from .header import read_header

PICKLES = (".bin", ".pt", ".pth", ".ckpt")
CONVERT = "save the adapter again as safetensors, in float32 or a half precision"


class TensorFile(Protocol):
    """A weights file: what is in it without reading data, and its tensors as views of the mapped file."""

    path: Path
    shapes: dict[str, tuple[int, ...]]

    def tensor(self, name: str) -> Tensor: ...


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
        self.shapes = {name: entry.shape for name, entry in read_header(path).items()}
        try:
            with file_errors(path):
                self._file: Any = safe_open(path, framework="pt")
        except SafetensorError as error:
            raise TaskvecError(f"is not a safetensors file ({error})", where=path, fix="download it again") from error

    def tensor(self, name: str) -> Tensor:
        try:
            value: Tensor = self._file.get_tensor(name)
        except SafetensorError as error:
            raise TaskvecError(
                f"has {name} of a dtype that torch lacks ({error})", where=self.path, fix=CONVERT
            ) from error
        # a header of odd length leaves the data unaligned
        return value if value.data_ptr() % value.element_size() == 0 else value.clone()

    def __reduce__(self) -> tuple[Any, ...]:
        return _again(self.path)


class _Pickle:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._tensors = _load_pickle(path)
        self.shapes = {name: tuple(value.shape) for name, value in self._tensors.items()}

    def tensor(self, name: str) -> Tensor:
        return self._tensors[name]

    def __reduce__(self) -> tuple[Any, ...]:
        return _again(self.path)


def _again(path: Path) -> tuple[Any, ...]:
    """How another process opens the file: pickles carry no tensors."""
    return open_tensors, (Path(os.path.abspath(path)),)


def _load_pickle(path: Path) -> dict[str, Tensor]:
    with file_errors(path):
        with open(path, "rb") as file:
            refuse_lfs_pointer(path, file.read(64))
        size = os.stat(path).st_size
    _check_zip(path, size)
    try:
        document = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a hostile pickle can make the loader raise anything
        reason = str(error).split("\n")[0][:200]
        raise TaskvecError(f"cannot be loaded safely ({reason})", where=path, fix=CONVERT) from error
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
