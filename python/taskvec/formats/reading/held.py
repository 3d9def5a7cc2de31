"""Files that are read once while an adapter is loaded: header, values and hash come from the same bytes.

Tensors are read, not mapped: a file that another process cuts short while it is mapped ends this one (SIGBUS).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from ...errors import TaskvecError

HELD_BYTES = 64 << 20  # of all files that are held; what is larger is read by the piece


class FileState(NamedTuple):
    """What tells that a file is no longer the one that was opened."""

    size: int
    modified: int  # nanoseconds
    inode: int

    @staticmethod
    def of(file: int | Path) -> FileState:
        """The state of an open file or a path."""
        stat = os.stat(file)
        return FileState(stat.st_size, stat.st_mtime_ns, stat.st_ino)

    def check(self, now: FileState, path: Path) -> None:
        """Raise if the file has changed."""
        if now != self:
            what = "has changed since it was loaded" if now.size >= self.size else "has shrunk since it was loaded"
            got, fix = f"{now.size} bytes, {self.size} before", "wait until nothing writes to it, and load it again"
            raise TaskvecError(what, where=path, got=got, fix=fix)


class Held(NamedTuple):
    """The content of a file."""

    data: bytearray
    state: FileState


_HELD: ContextVar[dict[Path, Held] | None] = ContextVar("held", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """While it lasts, a file that is asked for again comes from memory."""
    token = _HELD.set({})
    try:
        yield
    finally:
        _HELD.reset(token)


def read_into(file: FileIO, buffer: bytearray) -> int:
    """Fill a buffer from a file, which gives at most 2 GiB at once; the number of bytes that were there."""
    view, done = memoryview(buffer), 0
    while done < len(view) and (count := file.readinto(view[done:])):
        done += count
    return done


def held(path: Path) -> Held | None:
    """The content of a small file inside of ``read_once``, None outside and for a large one; raises ``OSError``."""
    kept = _HELD.get()
    if kept is None or path in kept:
        return None if kept is None else kept[path]
    with open(path, "rb", buffering=0) as file:
        state = FileState.of(file.fileno())
        if state.size + sum(len(other.data) for other in kept.values()) > HELD_BYTES:
            return None
        data = bytearray(state.size)
        count = read_into(file, data)
    kept[path] = Held(data[:count] if count < state.size else data, state)
    return kept[path]


def read_piece(path: Path, state: FileState, begin: int, length: int) -> bytearray:
    """``length`` bytes of a file from ``begin`` on.

    Raises:
        TaskvecError: the file is no longer what it was.
        OSError: it cannot be read.
    """
    data = bytearray(length)
    with open(path, "rb", buffering=0) as file:
        state.check(FileState.of(file.fileno()), path)
        file.seek(begin)
        if read_into(file, data) < length:
            state.check(FileState.of(file.fileno()), path)
            raise TaskvecError("ends before its tensors do", where=path, fix="load it again")
    return data
