"""Chunks that zarr reads bit for bit, a ledger that outlives its writer, a lease that no dead process holds."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import zarr

import taskvec.ledger.lease as leases
from taskvec.ledger.arrays import Array, Part, write_group
from taskvec.ledger.chunks import decode, encode, is_whole
from taskvec.ledger.lease import LEASE, HeldError, Lease
from taskvec.ledger.records import LEDGER, Ledger, Record
from taskvec.storage import Folder

FLOATS = np.dtype("float32")


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 9), (2, 8, 8)])
def test_zarr_reads_what_is_written_and_we_read_it_back(folder, shape) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    array = Array("rec", ("a", "b", "c"), shape, (1, 4, 4), FLOATS)
    text = Array("name", ("a",), (shape[0],), (8,), np.dtype("U3"), "")
    write_group(folder, {"rec": array, "name": text}, {"told": "x"})
    names = np.array(["ä", "bcd", ""][: shape[0]])
    for one, part in ((array, Part("rec", (0, 0, 0), values)), (text, Part("name", (0,), names))):
        for name, chunk in one.cut(part):
            assert chunk.shape == one.chunks and is_whole(encode(chunk))
            folder.write(name, encode(chunk))
    group = zarr.open_group(folder.root, mode="r", use_consolidated=True)
    np.testing.assert_array_equal(group["rec"][:], values)
    assert group["name"][:].tolist() == names.tolist() and group.attrs["told"] == "x"
    np.testing.assert_array_equal(array.read(folder, (0, 0, 0), shape), values)
    part = array.read(folder, (shape[0] - 1, 0, 0), (1, 3, 2))
    np.testing.assert_array_equal(part, values[-1:, :3, :2])


def test_equal_values_are_equal_bytes_and_a_flipped_bit_is_seen() -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    data = encode(values)
    assert data == encode(values.copy("F")) and is_whole(data)
    np.testing.assert_array_equal(decode(data, (8, 8), FLOATS), values)
    for bit in range(0, 8 * len(data), 7):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_whole(bytes(changed))
    assert not is_whole(b"") and not is_whole(data[:-1])


def test_the_newest_record_of_a_unit_counts_and_torn_lines_do_not(folder) -> None:
    one, other = Ledger(folder), Ledger(folder)
    folder.write("rec/c/0", encode(np.zeros(4, np.float32)))
    size, tail = folder.tail("rec/c/0")
    first = one.append("0-0", "old", {"rec/c/0": (size, tail.hex())}, {})
    other.refresh()
    second = other.append("0-0", "new", {"rec/c/0": (size, tail.hex())}, {"seconds": 1.0})
    assert (first.sequence, second.sequence) == (1, 2)
    (name, *_) = folder.names(LEDGER)
    line = Record("0-1", "torn", {}).line()
    folder.append(name, line[:20])
    third = Ledger(folder)
    third.refresh()
    assert third.newest == {"0-0": second} and third.damaged(second) == []
    folder.append(name, line[20:])  # the rest of the line arrives
    third.refresh()
    assert set(third.newest) == {"0-0", "0-1"} and not third.spoilt
    folder.append(name, line.replace(b"torn", b"turn"))
    third.refresh()
    assert third.spoilt == {name} and third.newest["0-1"].key == "torn"
    whole = folder.read(name)
    third.mend()
    assert folder.read(name) == whole[: -len(line)]
    folder.append(name, b"not json\n[1]\n{}\n")
    third.refresh()
    assert set(third.newest) == {"0-0", "0-1"}


@pytest.mark.parametrize("harm", ["deleted", "swapped", "cut", "flipped"])
def test_a_chunk_that_is_not_the_recorded_one_is_named(folder, harm: str) -> None:
    generator, ledger = np.random.default_rng(1), Ledger(folder)
    chunks = {}
    for i in range(2):
        data = encode(generator.normal(size=64).astype(np.float32))
        folder.write(f"rec/c/{i}", data)
        chunks[f"rec/c/{i}"] = len(data), data[-4:].hex()
    record = ledger.append("0-0", "key", chunks, {})
    path = folder.root / "rec/c/0"
    data = path.read_bytes()
    if harm == "deleted":
        path.unlink()
    else:
        flipped = bytes([data[0] ^ 1]) + data[1:]
        other = (folder.root / "rec/c/1").read_bytes()
        path.write_bytes({"swapped": other, "cut": data[:-1], "flipped": flipped}[harm])
    assert ledger.damaged(record) == ([] if harm == "flipped" else ["rec/c/0"])
    assert ledger.damaged(record, all_bytes=True) == ["rec/c/0"]


def test_one_process_holds_a_lease(folder) -> None:
    with Lease(folder, terms="mine") as lease:
        lease.check()
        with (
            pytest.raises(HeldError, match=r"is being written by process \d+ on .*; wait until it ends") as held,
            Lease(folder),
        ):
            pass
        assert held.value.terms == "mine" and "\n" not in str(held.value)
        assert lease.held
    with Lease(folder):
        pass
    assert list(folder.names()) == []


def test_a_killed_process_holds_no_lease(folder) -> None:
    code = "import sys, os\nfrom taskvec.storage import open_storage\nfrom taskvec.ledger.lease import Lease\n"
    code += "Lease(open_storage(sys.argv[1])).__enter__()\nos.kill(os.getpid(), 9)\n"
    subprocess.run([sys.executable, "-c", code, folder.url], check=False)
    assert (folder.root / LEASE).exists()
    with Lease(folder) as lease:
        assert lease.held


@pytest.mark.parametrize("beats", [False, True])
def test_a_holder_on_another_host_is_watched_not_timed(folder, monkeypatch, beats: bool) -> None:
    """Whatever its clock says: it is there while its heartbeat changes, and gone when that does not for a while."""
    monkeypatch.setattr(leases, "STALE", 0.5)
    holder = {"host": "elsewhere", "boot": "x", "pid": 1, "token": "t", "beats": 0, "what": "written"}
    folder.write(LEASE, json.dumps(holder).encode())
    slept = leases.time.sleep

    def sleep(seconds: float) -> None:
        slept(seconds)
        if beats:
            (folder.root / LEASE).write_text(json.dumps(holder | {"beats": 1}))

    monkeypatch.setattr(leases.time, "sleep", sleep)
    if beats:
        with pytest.raises(HeldError, match="process 1 on elsewhere"), Lease(folder):
            pass
    else:
        with Lease(folder) as lease:
            assert lease.held


def test_a_lease_that_was_taken_over_is_not_given_back(folder) -> None:
    with Lease(folder) as lease:
        (folder.root / LEASE).write_text(json.dumps({"token": "another"}))
        assert not lease.held
    assert json.loads((folder.root / LEASE).read_text()) == {"token": "another"}
