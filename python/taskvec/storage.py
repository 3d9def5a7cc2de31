"""The files of a store below one root, in a folder or in an object store: each is written whole or not at all.

What several processes write together goes through these few operations, because they mean the same in both: nothing is
renamed but a file into its own name, and nothing is written into a file that others read.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from .errors import TaskvecError

TAIL = 4  # bytes of the checksum at the end of a chunk
AT_ONCE = 1024  # parts that the system takes in one call
OPEN = 16  # files that a thread writes together: a process may have 256 or 1,024 open in all
OBJECTS_AT_ONCE = 8  # that one call sends to an object store
UNFINISHED = ".partial"  # ends the names of files that are being written
TRIES = 3  # to give a file its name
SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])")  # pathlib leaves one slash of s3://
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}  # that fsspec needs

Bytes = bytes | bytearray | memoryview


class Storage(Protocol):
    """Files by their names below a root, with "/" between folders; can be pickled. OSError where the system refuses."""

    @property
    def url(self) -> str:
        """The root, as zarr and xarray take it."""

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """A file from byte ``start`` on, ``length`` bytes of it or all.

        Raises:
            FileNotFoundError: there is none.
        """

    def read_into(self, name: str, start: int, buffer: memoryview) -> int:
        """The bytes of a file from ``start`` on, as many as the buffer holds; how many there were.

        Raises:
            FileNotFoundError: there is none.
        """

    def tail(self, name: str) -> tuple[int, bytes] | None:
        """Size and last ``TAIL`` bytes of a file, None where there is none."""

    def names(self, folder: str = "") -> Iterator[str]:
        """Every file below a folder, those that are being written left out; in order."""

    def write(self, name: str, data: Bytes | Sequence[Bytes]) -> None:
        """A file with these bytes, or these parts one after the other, on the disk itself when this returns.

        Until then it is what was there before.
        """

    def write_all(self, files: Mapping[str, Bytes | Sequence[Bytes]]) -> None:
        """``write`` for several files by name: a disk syncs some of them together."""

    def create(self, name: str, data: Bytes) -> bool:
        """A file that is not there yet, False if it is: of several writers one is told True."""

    def append(self, name: str, line: bytes) -> None:
        """One more line at the end of a file that has one writer, on the disk itself when this returns.

        Objects cannot grow: remotely a line is an object of its own, ``name`` and a number.
        """

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""

    def remove_folder(self, folder: str) -> None:
        """Delete every file below a folder, if it is there."""

    def tidy(self) -> None:
        """Delete what writers that were killed have left half-way; one that is at work writes its file again."""


def open_storage(place: str | Path) -> Storage:
    """What is at a folder's path or a URL (s3://bucket/name). It need not exist.

    Raises:
        TaskvecError: the packages that the URL needs are not installed.
    """
    url = remote_url(place)
    return Folder(Path(place)) if url is None else Objects(url)


def remote_url(place: str | Path) -> str | None:
    """The URL that a path is, None for a local one or an id of the Hub: ``s3:/bucket/name`` of pathlib too."""
    found = SCHEME.match(str(place))
    if not found or found[1] in ("file", "hf"):
        return None
    return f"{found[1]}://{str(place)[found.end() :]}"


class Folder:
    """On a disk: written next to its name, synced, and renamed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def url(self) -> str:
        return str(self.root)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        with open(self.root / name, "rb", buffering=0) as file:
            file.seek(start)
            return file.read() if length is None else file.read(length)

    def read_into(self, name: str, start: int, buffer: memoryview) -> int:
        with open(self.root / name, "rb", buffering=0) as file:
            file.seek(start)
            done = 0
            while done < len(buffer) and (more := file.readinto(buffer[done:])):
                done += more
            return done

    def tail(self, name: str) -> tuple[int, bytes] | None:
        try:
            with open(self.root / name, "rb", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - TAIL))
                return size, file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def names(self, folder: str = "") -> Iterator[str]:
        for path in sorted((self.root / folder).rglob("*")):
            if path.is_file() and not path.name.endswith(UNFINISHED):
                yield path.relative_to(self.root).as_posix()

    def write(self, name: str, data: Bytes | Sequence[Bytes]) -> None:
        self.write_all({name: data})

    def write_all(self, files: Mapping[str, Bytes | Sequence[Bytes]]) -> None:
        source = iter(files.items())
        while some := dict(islice(source, OPEN)):
            self._write_some(some)

    def _write_some(self, left: dict[str, Bytes | Sequence[Bytes]]) -> None:
        """What is written is taken out of ``left``."""
        for tries in reversed(range(TRIES)):
            with self._partial(left) as parts:
                for name, part in [*parts.items()]:
                    try:
                        os.replace(part, self._path(name))
                        del left[name], parts[name]
                    except FileNotFoundError:  # another process tidies up
                        if not tries:
                            raise
            if not left:
                return

    def create(self, name: str, data: Bytes) -> bool:
        for tries in reversed(range(TRIES)):
            with self._partial({name: data}) as parts:
                try:
                    os.link(parts[name], self._path(name))
                    return True
                except FileExistsError:
                    return False
                except FileNotFoundError:  # another process tidies up
                    if not tries:
                        raise
        raise AssertionError

    def append(self, name: str, line: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0) as file:
            size = file.tell()
            try:
                _write(file.fileno(), line)
            except BaseException:
                file.truncate(size)  # a full disk leaves no half line
                raise
            os.fdatasync(file.fileno())

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self.root / folder)

    def tidy(self) -> None:
        for folder, _, names in os.walk(self.root):
            for name in names:
                if name.endswith(UNFINISHED):
                    Path(folder, name).unlink(missing_ok=True)

    def _path(self, name: str) -> str:
        return os.path.join(self.root, name)

    @contextmanager
    def _partial(self, files: Mapping[str, Bytes | Sequence[Bytes]]) -> Iterator[dict[str, str]]:
        """Files on the disk next to where they belong, by name; those that nobody takes out are deleted at the end."""
        token, parts = uuid4().hex[:12], dict[str, str]()
        for folder in {os.path.dirname(self._path(name)) for name in files}:
            os.makedirs(folder, exist_ok=True)
        try:
            with ExitStack() as opened:
                written: list[int] = []
                for name, data in files.items():
                    folder, base = os.path.split(self._path(name))
                    parts[name] = os.path.join(folder, f".{base}.{token}{UNFINISHED}")
                    written.append(os.open(parts[name], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
                    opened.callback(os.close, written[-1])
                    _write(written[-1], data)
                for file in written:  # the first sync takes the others' blocks to the disk too
                    os.fdatasync(file)
            yield parts
        finally:
            for part in parts.values():
                with suppress(OSError):
                    os.unlink(part)


class Objects:
    """In an object store, through fsspec: an object appears whole, and is there once it is written.

    Credentials and endpoints are the environment's (AWS_PROFILE, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, …).
    """

    def __init__(self, url: str) -> None:
        scheme = url.partition(":")[0]
        try:
            from fsspec.core import url_to_fs

            self._files, root = url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            package = PACKAGES.get(scheme, "fsspec")
            raise TaskvecError(
                f"cannot open {scheme}:// ({error})", where=url, fix=f"pip install {package}, or name a local folder"
            ) from error
        self._url, self._root = url, root.rstrip("/")
        self._lines: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return self._url

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        path = f"{self._root}/{name}"
        if start or length is not None:
            size = int(self._files.info(path)["size"])
            end = size if length is None else min(size, start + length)
            if start >= end:  # a range that no server answers
                return b""
            data: bytes = self._files.cat_file(path, start=start, end=end)
        else:
            data = self._files.cat_file(path)
        return data

    def read_into(self, name: str, start: int, buffer: memoryview) -> int:
        data = self.read(name, start, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tail(self, name: str) -> tuple[int, bytes] | None:
        path = f"{self._root}/{name}"
        try:
            found = self._files.info(path)
            if found["type"] != "file":
                return None
            size = int(found["size"])
            return size, self._files.cat_file(path, start=max(0, size - TAIL), end=size) if size else b""
        except FileNotFoundError:
            return None

    def names(self, folder: str = "") -> Iterator[str]:
        try:
            found = self._files.find(f"{self._root}/{folder}".rstrip("/"))
        except FileNotFoundError:
            return
        yield from sorted(path[len(self._root) + 1 :] for path in found)

    def write(self, name: str, data: Bytes | Sequence[Bytes]) -> None:
        whole = bytes(data) if isinstance(data, Bytes) else b"".join(data)
        self._files.pipe_file(f"{self._root}/{name}", whole)

    def write_all(self, files: Mapping[str, Bytes | Sequence[Bytes]]) -> None:
        with ThreadPoolExecutor(OBJECTS_AT_ONCE) as pool:
            for _ in pool.map(self.write, files, files.values()):
                pass

    def create(self, name: str, data: Bytes) -> bool:
        try:
            self._files.pipe_file(f"{self._root}/{name}", bytes(data), mode="create")
        except FileExistsError:
            return False
        return True

    def append(self, name: str, line: bytes) -> None:
        self._lines[name] += 1
        self.write(f"{name}.{self._lines[name]:08}", line)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{name}")

    def remove_folder(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm(f"{self._root}/{folder}", recursive=True)

    def tidy(self) -> None:
        pass  # an object is whole or not there

    def __reduce__(self) -> tuple[Any, ...]:
        return Objects, (self._url,)


def _write(file: int, data: Bytes | Sequence[Bytes]) -> None:
    parts = [memoryview(part).cast("B") for part in ([data] if isinstance(data, Bytes) else data)]
    first = 0
    while first < len(parts):
        done = os.writev(file, parts[first : first + AT_ONCE])
        while first < len(parts) and done >= len(parts[first]):
            done -= len(parts[first])
            first += 1
        if done:
            parts[first] = parts[first][done:]
