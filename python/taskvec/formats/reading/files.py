"""Files that someone else made: found inside the folder given and nowhere else, and read within bounds."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import TaskvecError
from .held import held, sha256_of

MAX_JSON_BYTES = 16 << 20
LFS_POINTER = b"version https://git-lfs"


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` raised while ``path`` is read into a ``TaskvecError``."""
    try:
        yield
    except OSError as error:
        fix = "check that it exists and that you may read it"
        raise TaskvecError(f"cannot be read ({error.strerror or error})", where=path, fix=fix) from error


def member(folder: Path, name: str) -> Path | None:
    """``folder / name`` if it is a file that lies in the folder, None if there is no such entry.

    Raises:
        TaskvecError: the entry is no regular file, or a symbolic link out of the folder. Links of the Hugging Face
            cache (snapshots/REVISION/NAME to blobs/HASH of the same repository) are followed.
    """
    path = folder / name
    with file_errors(path):
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a name that no file can have
            return None
        if stat.S_ISREG(mode) and os.path.basename(name) == name:
            return path
        target = Path(os.path.realpath(path, strict=True))
    if not target.is_relative_to(_root(Path(os.path.realpath(folder)))):
        fix = "copy the file into the folder, or give the path of the folder that holds it"
        raise TaskvecError("is a symbolic link that leads out of its folder", where=path, got=str(target), fix=fix)
    return regular(path)


def regular(path: Path) -> Path:
    """``path`` if it is a regular file (links followed); opening a FIFO or a device could wait for ever."""
    with file_errors(path):
        mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise TaskvecError("is not a regular file", where=path, fix="give an adapter's folder or its weights file")
    return path


def _root(folder: Path) -> Path:
    """The folder that files may lie in: itself, or the repository's own folder in a Hugging Face cache."""
    for parent in folder.parents:
        if parent.name == "snapshots" and parent.parent.name.startswith("models--"):
            return parent.parent
    return folder


def refuse_lfs_pointer(path: Path, start: bytes) -> None:
    """Raise if the file's first bytes are a Git-LFS pointer: the most common way an adapter file is broken."""
    if start.startswith(LFS_POINTER):
        fix = "run `git lfs pull` in the repository that it came from, or download the file itself"
        raise TaskvecError("is a Git-LFS pointer, not the file itself", where=path, fix=fix)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``, at most 16 MiB of it."""
    with file_errors(path):
        if whole := held(path):
            data = bytes(whole.data)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_JSON_BYTES + 1)
    refuse_lfs_pointer(path, data)
    fix = "restore the file as it was saved with the adapter"
    if len(data) > MAX_JSON_BYTES:
        raise TaskvecError("is too large for a config", where=path, got="more than 16 MiB", fix=fix)
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TaskvecError(f"is not valid JSON ({error})", where=path, fix=fix) from error
    if not isinstance(document, dict):
        raise TaskvecError("is not a JSON object", where=path, got=type(document).__name__, fix=fix)
    return document


def digest(*paths: Path) -> str:
    """sha256 over the sha256 of each file, as hexadecimal."""
    total = hashlib.sha256()
    for path in paths:
        with file_errors(path):
            total.update(sha256_of(path))
    return total.hexdigest()
