"""Storage means the same on a disk and in an object store: one set of tests for both."""

from __future__ import annotations

import os
import pickle
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3 import s3_server
from taskvec.errors import TaskvecError
from taskvec.storage import UNFINISHED, Folder, Objects, Storage, open_storage, remote_url


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    with s3_server("bucket") as environment:
        yield environment


@pytest.fixture(params=["disk", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    if request.param == "disk":
        return open_storage(tmp_path / "new" / "store")
    for name, value in request.getfixturevalue("server").items():
        monkeypatch.setenv(name, value)
    return open_storage(f"s3://bucket/{tmp_path.name}")


def test_what_is_written_is_there_whole(storage: Storage) -> None:
    assert list(storage.names()) == []
    assert storage.tail("a/b/c") is None
    storage.write("a/b/c", b"0123456789")
    storage.write("a/d", memoryview(b"old"))
    storage.write("a/d", b"new")
    storage.write("ab", b"")
    assert storage.read("a/b/c") == b"0123456789"
    assert storage.read("a/b/c", 7) == b"789"
    assert storage.read("a/b/c", 10) == storage.read("a/b/c", 12, 4) == b""
    assert storage.read("a/b/c", 2, 3) == b"234"
    assert storage.read("a/b/c", 8, 30) == b"89"
    assert storage.read("a/d") == b"new"
    assert storage.tail("a/b/c") == (10, b"6789")
    assert storage.tail("a/d") == (3, b"new")
    assert storage.tail("ab") == (0, b"")
    assert storage.tail("a/b") is None
    assert list(storage.names("a")) == ["a/b/c", "a/d"]
    assert list(storage.names()) == ["a/b/c", "a/d", "ab"]
    assert list(storage.names("nothing")) == []
    with pytest.raises(FileNotFoundError):
        storage.read("a/e")
    storage.remove("a/d")
    storage.remove("a/d")
    assert list(storage.names("a")) == ["a/b/c"]
    storage.remove_folder("a")
    storage.remove_folder("a")
    assert list(storage.names()) == ["ab"]


def test_several_are_written_as_one_is(storage: Storage) -> None:
    storage.write("a/c", b"old")
    storage.write_all({"a/b": b"1", "a/c": [b"2", memoryview(b"3")], "d": b""})
    storage.write_all({})
    assert list(storage.names()) == ["a/b", "a/c", "d"]
    assert [storage.read(name) for name in storage.names()] == [b"1", b"23", b""]
    many = {f"many/{i:03}": b"%d" % i for i in range(100)}
    storage.write_all(many)
    assert {name: storage.read(name) for name in storage.names("many")} == many


def test_one_of_several_creates(storage: Storage) -> None:
    assert storage.create("lease", b"first")
    assert not storage.create("lease", b"second")
    assert storage.read("lease") == b"first"
    storage.remove("lease")
    assert storage.create("lease", b"third")
    assert list(storage.names()) == ["lease"]


def test_lines_are_added_by_one_writer_each(storage: Storage) -> None:
    other = pickle.loads(pickle.dumps(storage))
    for line in (b"1\n", b"2\n", b"3\n"):
        storage.append("ledger/one.jsonl", line)
    other.append("ledger/two.jsonl", b"4\n")
    assert b"".join(map(storage.read, storage.names("ledger"))) == b"1\n2\n3\n4\n"


def test_paths_and_urls() -> None:
    assert remote_url(Path("s3://bucket/a/b.zarr")) == "s3://bucket/a/b.zarr"
    assert remote_url("gs://bucket/a") == "gs://bucket/a"
    assert [remote_url(place) for place in ("a/b", "/s3/b", "c:/a", "file:///a", Path("s3"))] == [None] * 5
    assert isinstance(open_storage("a"), Folder)
    with pytest.raises(TaskvecError, match="name a local folder"):
        Objects("nothing://bucket/a")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the same write fails in the same place."""
    storage = Folder(tmp_path)
    storage.write("a", b"old")
    storage.append("ledger", b"first\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        for write in (storage.write, storage.create, storage.append):
            with pytest.raises(OSError, match="File too large"):
                write("a" if write == storage.write else "ledger", bytes(2000))
        with pytest.raises(OSError, match="File too large"):
            storage.write_all({"b": b"fits", "a": bytes(2000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert storage.read("a") == b"old"
    assert storage.read("ledger") == b"first\n"
    assert sorted(os.listdir(tmp_path)) == ["a", "ledger"]


def test_what_is_not_whole_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / f".a.0123{UNFINISHED}").write_bytes(b"half")
    assert list(Folder(tmp_path).names()) == []
    Folder(tmp_path).tidy()
    assert not os.listdir(tmp_path)


def test_who_writes_while_another_tidies_writes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, real, tidied = Folder(tmp_path), os.replace, []

    def replace(part: str, name: str) -> None:
        if len(tidied) < 2:
            tidied.append(part)
            storage.tidy()
        real(part, name)

    monkeypatch.setattr(os, "replace", replace)
    storage.write_all({"a/b": b"whole", "a/c": b"too"})
    assert len(tidied) == 2
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b", "c"]
    assert storage.read("a/b") == b"whole" and storage.read("a/c") == b"too"


def test_who_creates_while_another_tidies_creates_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, real, tidied = Folder(tmp_path), os.link, []

    def link(part: str, name: str) -> None:
        if len(tidied) < 2:
            tidied.append(part)
            storage.tidy()
        real(part, name)

    monkeypatch.setattr(os, "link", link)
    assert storage.create("lease", b"whole") and not storage.create("lease", b"second")
    assert storage.read("lease") == b"whole" and os.listdir(tmp_path) == ["lease"]


def test_bytes_are_read_into_a_buffer(storage: Storage) -> None:
    storage.write("a", b"0123456789")
    buffer = bytearray(6)
    assert storage.read_into("a", 2, memoryview(buffer)) == 6 and bytes(buffer) == b"234567"
    assert storage.read_into("a", 7, memoryview(buffer)) == 3 and bytes(buffer[:3]) == b"789"
    with pytest.raises(FileNotFoundError):
        storage.read_into("b", 0, memoryview(buffer))
