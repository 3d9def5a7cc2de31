"""Files that are read once while an adapter is loaded: header, values and hash come from the same bytes.

Tensors are read, not mapped: a file that another process cuts short while it is mapped ends this one (SIGBUS).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import TaskvecError

HELD_BYTES = 32 << 20  # of all files that one thread holds; what is larger is read by the piece
KEPT_BYTES = 8 << 20  # of a file that stays in memory with its reader
PIECE_BYTES = 8 << 20  # a multiple of every dtype's size
SLAB_BYTES = 8 << 20  # of memory for the content of files, one after the other: numpy asks for huge pages for it
LINE_BYTES = 64  # where a file's content begins in it


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

    data: memoryview
    state: FileState


@dataclass
class _Growing:
    """The hash of a file's first ``at`` bytes."""

    total: Any = field(default_factory=sha256)
    at: int = 0

    def read_to(self, file: FileIO, end: int) -> None:
        """Take what lies before ``end`` in."""
        file.seek(self.at)
        while self.at < end and (piece := file.read(min(PIECE_BYTES, end - self.at))):
            self.take(piece)

    def take(self, piece: bytes | bytearray) -> None:
        self.total.update(piece)
        self.at += len(piece)


@dataclass(frozen=True)
class _Read:
    """What is known of the files that were read: the content of small ones, hashes of large ones."""

    keep: bool = False
    held: dict[Path, Held] = field(default_factory=dict)
    hashes: dict[tuple[Path, FileState], bytes] = field(default_factory=dict)
    growing: dict[tuple[Path, FileState], _Growing] = field(default_factory=dict)


_READ: ContextVar[_Read | None] = ContextVar("read", default=None)


@contextmanager
def read_once(*, keep: bool = False) -> Iterator[None]:
    """While it lasts, also inside of another, a file that is asked for again comes from memory.

    With ``keep``, what opens a file of tensors of at most ``KEPT_BYTES`` has its content also afterwards.
    """
    if _READ.get() is not None:
        yield
        return
    token = _READ.set(_Read(keep))
    try:
        yield
    finally:
        _READ.reset(token)


def read_into(file: FileIO, buffer: bytearray | memoryview) -> int:
    """Fill a buffer from a file, which gives at most 2 GiB at once; the number of bytes that were there."""
    view, done = memoryview(buffer), 0
    while done < len(view) and (count := file.readinto(view[done:])):
        done += count
    return done


class _Slab(threading.local):
    """Memory that a thread's files share, for pages of their own cost more than what is read into them.

    It goes when the last of its files does.
    """

    def __init__(self) -> None:
        self.free = memoryview(b"")

    def take(self, size: int) -> memoryview:
        """``size`` bytes that nobody else has."""
        if size > SLAB_BYTES // 4:
            return np.empty(size, np.uint8).data
        if size > len(self.free):
            self.free = np.empty(SLAB_BYTES, np.uint8).data
        taken, self.free = self.free[:size], self.free[-(-size // LINE_BYTES) * LINE_BYTES :]
        return taken


_SLAB = _Slab()


def held(path: Path) -> Held | None:
    """The content of a small file inside of ``read_once``, None outside and for a large one; raises ``OSError``."""
    read = _READ.get()
    if read is None or path in read.held:
        return None if read is None else read.held[path]
    with open(path, "rb", buffering=0) as file:
        state = FileState.of(file.fileno())
        if state.size + sum(len(other.data) for other in read.held.values()) > HELD_BYTES:
            return None
        data = _SLAB.take(state.size)
        count = read_into(file, data)
    read.held[path] = Held(data[:count] if count < state.size else data, state)
    return read.held[path]


def kept(path: Path) -> Held | None:
    """``held``, for whom it may stay; None unless that was asked for."""
    if (read := _READ.get()) is None or not read.keep:
        return None
    whole = held(path)
    return whole if whole is not None and len(whole.data) <= KEPT_BYTES else None


def sha256_of(path: Path) -> bytes:
    """The sha256 of a file: of what is held, or was found while it was read inside of ``read_once``; else it is read.

    Raises ``OSError``.
    """
    if whole := held(path):
        return sha256(whole.data).digest()
    if (read := _READ.get()) is not None:
        key = path, FileState.of(path)
        if known := read.hashes.get(key):
            return known
        if growing := read.growing.pop(key, None):
            with open(path, "rb", buffering=0) as file:
                growing.read_to(file, key[1].size)
            return read.hashes.setdefault(key, growing.total.digest())
    with open(path, "rb") as file:
        return file_digest(file, "sha256").digest()


def hash_along(path: Path) -> None:
    """Inside of ``read_once``, hash a large file while its tensors are read, as far as that is in its order.

    Raises ``OSError``.
    """
    if (read := _READ.get()) is not None and held(path) is None:
        key = path, FileState.of(path)
        if key not in read.hashes:
            read.growing.setdefault(key, _Growing())


def pieces(path: Path, state: FileState, cuts: Sequence[int]) -> Iterator[tuple[int, memoryview]]:
    """A file from its first byte to its last by at most 8 MiB, and after how many of the cuts each piece lies.

    A piece is good until the next; the hash of the whole is kept for ``sha256_of``.

    Raises:
        TaskvecError: the file is no longer what it was.
        OSError: it cannot be read.
    """
    total, buffer = sha256(), bytearray(min(PIECE_BYTES, state.size))
    with open(path, "rb", buffering=0) as file:
        state.check(FileState.of(file.fileno()), path)
        for i, (begin, end) in enumerate(pairwise([0, *cuts, state.size])):
            for at in range(begin, end, PIECE_BYTES):
                piece = memoryview(buffer)[: min(PIECE_BYTES, end - at)]
                if read_into(file, piece) < len(piece):
                    raise _ended(path, file, state)
                total.update(piece)
                yield i, piece
        state.check(FileState.of(file.fileno()), path)
    if (read := _READ.get()) is not None:
        read.hashes[path, state] = total.digest()


def read_bytes(path: Path, state: FileState, begin: int, length: int) -> bytearray | memoryview:
    """``read_piece``, from memory where the file is held."""
    whole = held(path)
    if whole is None or whole.state != state:
        return read_piece(path, state, begin, length)
    return whole.data[begin : begin + length]


def read_piece(path: Path, state: FileState, begin: int, length: int) -> bytearray:
    """``length`` bytes of a file from ``begin`` on.

    Raises:
        TaskvecError: the file is no longer what it was.
        OSError: it cannot be read.
    """
    data = bytearray(length)
    with open(path, "rb", buffering=0) as file:
        state.check(FileState.of(file.fileno()), path)
        growing = None if (read := _READ.get()) is None else read.growing.get((path, state))
        if growing is not None and growing.at <= begin:
            growing.read_to(file, begin)
        file.seek(begin)
        if read_into(file, data) < length:
            raise _ended(path, file, state)
        if growing is not None and growing.at == begin:
            growing.take(data)
    return data


def _ended(path: Path, file: FileIO, state: FileState) -> TaskvecError:
    """The error for a file that is shorter than it says: that it has changed, where it has."""
    state.check(FileState.of(file.fileno()), path)
    return TaskvecError("ends before its tensors do", where=path, fix="load it again")
