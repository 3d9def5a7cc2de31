"""How far a result is, whether it is as it was written, and its repair."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from small_sweeps import KEEPS, chunks, command, stop_after, sweep
from taskvec import TaskvecError, open_result
from taskvec.ledger.lease import Lease
from taskvec.storage import Folder
from taskvec.sweeps.running import SweepInterrupted

pytestmark = pytest.mark.usefixtures("small_units")


@pytest.mark.parametrize("harm", ["flipped", "deleted", "swapped", "foreign"])
def test_a_chunk_that_is_not_ours_is_found_when_it_is_read_and_computed_again(five, tmp_path, harm: str) -> None:
    out = tmp_path / "out.zarr"
    sweep(five, out)
    whole = chunks(out)
    victim, other = out / "rec/c/0/1/0", out / "rec/c/0/1/1"
    data = victim.read_bytes()
    if harm == "deleted":
        victim.unlink()
    else:
        flipped = bytes([data[0], data[1] ^ 4]) + data[2:]
        foreign = (out / "excess/c/0/1/0").read_bytes()
        victim.write_bytes({"flipped": flipped, "swapped": other.read_bytes(), "foreign": foreign}[harm])
    dataset = open_result(out)
    assert float(dataset["rec"][0, 0, 0]) == pytest.approx(1)  # of another chunk
    with pytest.raises(TaskvecError, match=r"rec/c/0/1/0: is (missing|damaged).*taskvec verify .*out.zarr --repair"):
        dataset["rec"].load()
    if harm == "flipped":
        return  # its last bytes are right: only `verify` reads all of a chunk before it is used
    sweep(five, out)
    assert chunks(out) == whole


def test_status_says_how_far_it_is(zoo_folder, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        stop_after(patch, 3, KeyboardInterrupt())
        with pytest.raises(SweepInterrupted) as stop:
            sweep(zoo_folder, out)
    code, printed, _ = command(capsys, "status", out, "--json")
    found = json.loads(printed)
    assert code == 0 and (found["done"], found["units"]) == (stop.value.finished, stop.value.units)
    assert (found["complete"], found["adapters"], found["modules"], found["writer"]) == (False, 3, 6, "")
    with Lease(Folder(out), "swept"):
        assert f"being computed by process {os.getpid()}" in command(capsys, "status", out)[1]
    assert "once more, goes on" in command(capsys, "status", out)[1]
    sweep(zoo_folder, out)
    found = json.loads(command(capsys, "status", out, "--json")[1])
    assert found["complete"] and found["done"] == found["units"]
    assert found["pairs_done"] == found["pairs"] == 6 * 9
    code, _, error = command(capsys, "status", tmp_path)
    assert code == 2 and "is no result" in error


@pytest.mark.parametrize("keep", KEEPS)
def test_every_flipped_bit_is_found_and_repaired(zoo_folder, tmp_path, capsys, keep: str) -> None:
    out = tmp_path / "out.zarr"
    sweep(zoo_folder, out, keep=keep)
    whole = chunks(out)
    files = [name for name in whole if "/c/" in name]
    generator = np.random.default_rng(0)
    assert command(capsys, "verify", out)[0] == 0
    for name in generator.choice(files, 12, replace=False).tolist():
        data = bytearray(whole[name])
        bit = int(generator.integers(8 * len(data)))
        data[bit // 8] ^= 1 << bit % 8
        (out / name).write_bytes(bytes(data))
    removed = next(name for name in files if chunks(out)[name] == whole[name])
    (out / removed).unlink()
    code, printed, _ = command(capsys, "verify", out, "--json")
    found = json.loads(printed)
    jsonschema.validate(found, json.loads((Path(__file__).parents[1] / "schemas/verify.json").read_text()))
    assert code == 1 and len(found["damaged"]) == 13 and removed in {one["chunk"] for one in found["damaged"]}
    assert command(capsys, "verify", out, "--repair")[0] == 0
    assert command(capsys, "verify", out)[0] == 0
    assert chunks(out) == whole


def test_a_repair_needs_to_know_where_the_adapters_are(five, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    sweep(five, out)
    (out / "rec/c/0/0/0").unlink()
    code, _, error = command(capsys, "verify", out, "--repair")
    assert code == 2 and error.count("\n") == 1 and "does not say where its adapters are" in error


def test_the_best_pairs_go_on_and_are_repaired(zoo_folder, tmp_path, monkeypatch, capsys) -> None:
    whole, out = tmp_path / "whole.zarr", tmp_path / "out.zarr"
    sweep(zoo_folder, whole, keep="top=1")
    with monkeypatch.context() as patch:
        stop_after(patch, 3, KeyboardInterrupt())
        with pytest.raises(SweepInterrupted):
            sweep(zoo_folder, out, keep="top=1")
    sweep(zoo_folder, out, keep="top=1")
    assert chunks(out) == chunks(whole)
    for name in ("captured/c/0", ".taskvec/lists/0/0-1"):
        (out / name).unlink()
    assert command(capsys, "verify", out)[0] == 1
    assert command(capsys, "verify", out, "--repair")[0] == 0
    assert command(capsys, "verify", out)[0] == 0
    assert chunks(out) == chunks(whole)
    code, printed, _ = command(capsys, "show", out)
    assert code == 0 and "near" in printed
