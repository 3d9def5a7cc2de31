"""GGUF and npz files as files of tensors, whose errors name the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import TaskvecError
from .files import file_errors
from .gguf import GgufError, GgufFile
from .held import FileState, held
from .npz import NpzError, NpzFile
from .tensors import TensorFile, Values, open_tensors, values_of

FIX = "download it again, or convert it to safetensors"


class Archive:
    """A GGUF or npz file; tensors are copies."""

    def __init__(self, path: Path, kind: type[GgufFile] | type[NpzFile]) -> None:
        self.path, self._kind = path, kind
        try:
            with file_errors(path):
                self._state = FileState.of(path)
                self._file = kind(path)
        except (GgufError, NpzError) as error:
            raise TaskvecError(str(error), where=path, fix=FIX) from error
        self.shapes = self._file.shapes

    @property
    def metadata(self) -> dict[str, Any]:
        """Scalars and strings that a GGUF file says of itself."""
        return self._file.metadata if isinstance(self._file, GgufFile) else {}

    def tensor(self, name: str) -> Tensor:
        try:
            with file_errors(self.path):
                self._state.check(FileState.of(self.path), self.path)
                return self._file.tensor(name)
        except (GgufError, NpzError) as error:
            raise TaskvecError(str(error), where=self.path, fix=FIX) from error

    def rows(self, name: str, first: int, last: int) -> Tensor:
        return self.tensor(name)[first:last]

    def values(self, name: str) -> Values:
        return values_of(self.tensor(name))

    def __reduce__(self) -> tuple[Any, ...]:
        return Archive, (Path(os.path.abspath(self.path)), self._kind)


def open_weights(path: Path) -> TensorFile:
    """A weights file of any kind, by its first bytes or its suffix.

    Raises:
        TaskvecError: the file is unreadable, broken, or not what it claims to be.
    """
    with file_errors(path):
        if whole := held(path):
            start = bytes(whole.data[:4])
        else:
            with open(path, "rb") as file:
                start = file.read(4)
    is_gguf = start == b"GGUF"
    if is_gguf or path.suffix == ".npz":
        return Archive(path, GgufFile if is_gguf else NpzFile)
    return open_tensors(path)
