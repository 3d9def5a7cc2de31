"""A sweep that was stopped in any way goes on, computes what is new alone, and ends with the same bits."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import taskvec
import taskvec.sweeps.work
from small_sweeps import KEEPS, SPEC, chunks, stop_after, sweep
from taskvec import TaskvecError, open_result, storage
from taskvec.ledger.lease import Lease
from taskvec.ledger.records import LEDGER
from taskvec.storage import Folder
from taskvec.sweeps import running
from taskvec.sweeps.running import SweepInterrupted

pytestmark = pytest.mark.usefixtures("small_units")


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """Ordered pairs and modules of the blocks that go to the kernels."""
    found: list[int] = []
    compute = taskvec.sweeps.work.compute

    def counted(block, *others):
        found.append(block.pairs)
        return compute(block, *others)

    monkeypatch.setattr(taskvec.sweeps.work, "compute", counted)
    return found


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("blocks", [0, 1, 20])
def test_after_ctrl_c_the_same_bits(five, tmp_path, monkeypatch, keep: str, blocks: int) -> None:
    sweep(five, tmp_path / "whole.zarr", keep=keep)
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        stop_after(patch, blocks, KeyboardInterrupt())
        with pytest.raises(SweepInterrupted, match=r"out\.zarr; continue with the same command") as stop:
            sweep(five, out, keep=keep)
        assert stop.value.signal == signal.SIGINT and stop.value.finished < stop.value.units
    with xr.open_zarr(out) as stored:  # what is there is right, what is not is NaN
        assert stored.attrs["complete"] == 0
        whole = xr.open_zarr(tmp_path / "whole.zarr")["captured"].values
        part = stored["captured"].values
        known = ~np.isnan(part)
        np.testing.assert_array_equal(part[known], whole[known])
        assert known.any() == (stop.value.finished > 0)
    sweep(five, out, keep=keep)
    assert chunks(out) == chunks(tmp_path / "whole.zarr")


def test_a_second_run_computes_what_is_left_alone(five, tmp_path, monkeypatch, computed) -> None:
    sweep(five, tmp_path / "whole.zarr")
    every, out = sum(computed), tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        stop_after(patch, 20, KeyboardInterrupt())
        with pytest.raises(SweepInterrupted):
            sweep(five, out)
    before = {path: path.stat().st_mtime_ns for path in (out / "rec/c").rglob("*") if path.is_file()}
    assert before
    computed.clear()
    sweep(five, out)
    assert 0 < sum(computed) < every
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    computed.clear()
    sweep(five, out)
    assert computed == []


@pytest.mark.parametrize("keep", KEEPS)
def test_kill_minus_9_then_the_same_bits(zoo_folder, tmp_path, keep: str) -> None:
    """At a few places: in the middle of a unit, before and after a chunk, before and after a line of the ledger."""
    code = """
import os, sys, taskvec
from taskvec import storage
from taskvec.sweeps import estimate, plan, run
plan.SIDES, plan.MOST_MODULES = ((1 << 62, 2, 2),), 2
left = int(sys.argv[3])
def dying(call):
    def at_last(*arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
        return call(*arguments)
    return at_last
storage._write, os.replace = dying(storage._write), dying(os.replace)
taskvec.sweep(sys.argv[1], sys.argv[2], keep=sys.argv[4], metrics=["captured", "rec"])
"""
    whole, out = tmp_path / "whole.zarr", tmp_path / "out.zarr"

    def run_code(out: Path, writes: int) -> int:
        command = [sys.executable, "-c", code, str(zoo_folder), str(out), str(writes), keep]
        return subprocess.run(command, capture_output=True, timeout=120).returncode

    sweep(zoo_folder, whole, keep=keep, metrics=["captured", "rec"])
    for writes in (1, 40, 90, 110) if keep == "all" else (60,):
        assert run_code(out, writes) == -signal.SIGKILL
        assert not chunks(out).get("zarr.json") or xr.open_zarr(out).attrs["complete"] == 0
    assert run_code(out, 0) == 0
    assert {name: data for name, data in chunks(out).items() if not name.endswith(".partial")} == chunks(whole)
    assert not [path for path in out.rglob("*") if path.name == "lease"]


def test_sigterm_stops_with_143(zoo_folder, tmp_path) -> None:
    code = "import os, sys, taskvec.sweeps.work as work\n"
    code += (
        "work.compute = lambda *a: os.kill(os.getpid(), 15)\nfrom taskvec.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 143
    assert done.stderr.count("\n") == 1 and "continue with the same command" in done.stderr


@pytest.mark.parametrize("keep", KEEPS)
def test_new_adapters_are_new_rows_and_columns_alone(five, tmp_path, computed, keep: str) -> None:
    old, new, L = five[:3], five[3:], len(SPEC)
    sweep(five, tmp_path / "whole.zarr", keep=keep)
    old_values = sweep(old, tmp_path / "out.zarr", keep=keep)["captured"].values
    computed.clear()
    dataset = sweep([*new, *old[::-1]], tmp_path / "out.zarr", keep=keep)
    assert sum(computed) <= L * (5**2 - 3**2)
    assert dataset["source"].values.tolist() == [one.name for one in five]  # what was there keeps its place
    xr.testing.assert_allclose(dataset.load(), xr.open_zarr(tmp_path / "whole.zarr").load(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(dataset["captured"].values[..., :3, :3], old_values)


@pytest.mark.parametrize("keep", KEEPS)
def test_a_changed_adapter_is_computed_again_alone(five, adapter, tmp_path, computed, keep: str) -> None:
    out, other = tmp_path / "out.zarr", adapter("a2", SPEC, seed=99)
    object.__setattr__(other, "digest", "changed")
    changed = [*five[:2], other, *five[3:]]
    sweep(changed, tmp_path / "whole.zarr", keep=keep)
    sweep(five, out, keep=keep)
    computed.clear()
    dataset = sweep(changed, out, keep=keep)
    assert 0 < sum(computed) <= len(SPEC) * (2 * 5 - 1)
    xr.testing.assert_allclose(dataset.load(), xr.open_zarr(tmp_path / "whole.zarr").load(), rtol=1e-5, atol=1e-6)


def test_new_modules_and_wider_adapters_come_after_what_is_there(five, adapter, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    sweep(five, out)
    more = [*five, adapter("wide", SPEC | {"h.0.q": (12, 8, 8), "h.0.a": (5, 5, 2)}, seed=50)]
    found = sweep(more, out)
    assert found["module"].values.tolist() == [*sweep(five)["module"].values, "h.0.a"]
    assert_same(found, sweep(more))


def assert_same(found: xr.Dataset, fresh: xr.Dataset) -> None:
    """In another order of modules; a spectrum is 0 or NaN beyond what an adapter has."""
    fresh = fresh.sel({dim: found[dim].values for dim in ("module", "model_layer", "model_kind") if dim in found.dims})
    assert set(found.data_vars) == set(fresh.data_vars)
    for name in found.data_vars:
        values = found[name].values, fresh[name].values
        if name == "spectrum":
            values = tuple(map(np.nan_to_num, values))
        np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-5, err_msg=str(name))


@pytest.mark.parametrize("keep", [*KEEPS, "top=2"])
def test_modules_that_no_new_adapter_has_keep_what_is_known_of_them(five, adapter, tmp_path, keep: str) -> None:
    out = tmp_path / "out.zarr"
    more = [*five, adapter("other", {"t.0.q": (7, 9, 2)}, seed=50), adapter("none", {"h.0.q": (13, 8, 2)}, seed=51)]
    sweep(five, out, keep=keep)
    found = sweep(more, out, keep=keep).load()
    assert not np.isnan(found["norm"].sel(source=[one.name for one in five], module="h.1.q")).any()
    assert_same(found, sweep(more, keep=keep))


def test_an_adapter_of_many_directions_leaves_older_units_readable(adapter, tmp_path) -> None:
    """More than one unit of adapters, and more directions than one chunk of a spectrum has."""
    spec, out = {"h.0.q": (24, 30, 2)}, tmp_path / "out.zarr"
    zoo = [adapter(f"a{i:02}", spec, seed=i) for i in range(66)]
    sweep(zoo, out, keep="reduced")
    more = [*zoo, adapter("wide", {"h.0.q": (24, 30, 20)}, seed=70)]
    found = sweep(more, out, keep="reduced").load()
    assert found.sizes["component"] == 20
    assert_same(found, sweep(more, keep="reduced"))


@pytest.mark.parametrize(("keep", "room"), [("all", 5), ("all", 60), ("reduced", 30), ("reduced", 90)])
def test_a_full_disk_is_one_line_and_what_was_computed_stays(five, tmp_path, monkeypatch, keep, room: int) -> None:
    """When it is begun, and in the middle."""
    sweep(five, tmp_path / "whole.zarr", keep=keep)
    out, write, left = tmp_path / "out.zarr", storage._write, [room]

    def full(file, data) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        write(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "_write", full)
        with pytest.raises(TaskvecError, match=r"No space left on device.*continue with the same command") as error:
            sweep(five, out, keep=keep)
    assert "\n" not in str(error.value)
    assert not [*out.rglob("*.partial")]
    sweep(five, out, keep=keep)
    assert chunks(out) == chunks(tmp_path / "whole.zarr")


def test_a_copied_or_moved_result_stays_what_it_is(five, tmp_path, computed) -> None:
    sweep(five[:3], tmp_path / "out.zarr")
    (tmp_path / "out.zarr").rename(tmp_path / "elsewhere.zarr")
    computed.clear()
    sweep(five[:3], tmp_path / "elsewhere.zarr")
    assert computed == []


def test_two_sweeps_of_one_thing_help_each_other(five, tmp_path) -> None:
    sweep(five, tmp_path / "whole.zarr")
    out, found = tmp_path / "out.zarr", []
    threads = [threading.Thread(target=lambda: found.append(sweep(five, out).attrs["complete"])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1]
    assert chunks(out) == chunks(tmp_path / "whole.zarr")


def test_another_sweep_to_the_same_place_is_refused_while_one_runs(five, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    sweep(five[:3], out)
    before = chunks(out)
    with Lease(Folder(out), "swept", "something else"):
        for options in ({}, {"overwrite": True}):
            with pytest.raises(TaskvecError, match=r"is being swept by process \d+ on"):
                sweep(five, out, **options)
    assert chunks(out) == before


def test_a_job_is_small_and_runs_anywhere(zoo_folder, tmp_path) -> None:
    """A unit that another process computes is found in the ledger, and not computed again."""
    sent: list[bytes] = []

    def elsewhere(job, units, advance) -> None:
        for unit in units:
            sent.append(pickle.dumps((job, unit)))
            other, same = pickle.loads(sent[-1])
            record = other.run(same)
            assert (record.unit, record.key) == (unit.name, job.key(unit)) and other.run(same) == record

    sweep(zoo_folder, tmp_path / "out.zarr", engine=elsewhere)
    sweep(zoo_folder, tmp_path / "whole.zarr")
    assert sent and max(map(len, sent)) < 20_000
    assert chunks(tmp_path / "out.zarr") == chunks(tmp_path / "whole.zarr")


def test_the_ledger_says_who_computed_what(five, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    sweep(five, out)
    records = [json.loads(line) for file in Folder(out).names(LEDGER) for line in Folder(out).read(file).splitlines()]
    units = [record for record in records if "/" in record["unit"]]
    assert sum(record["about"]["pairs"] for record in units) == len(SPEC) * 5**2
    assert {record["about"]["pid"] for record in units} == {os.getpid()}


def test_an_older_result_stays_until_the_new_one_is_complete(five, tmp_path, monkeypatch) -> None:
    out, older = tmp_path / "out.zarr", tmp_path / "out.replaced.zarr"
    sweep(five[:2], out)
    whole = chunks(out)
    with monkeypatch.context() as patch:
        stop_after(patch, 3, KeyboardInterrupt())
        with pytest.raises(SweepInterrupted):
            sweep(five, out, overwrite=True)
    assert chunks(older) == whole
    with monkeypatch.context() as patch:  # the same command goes on, and does not begin anew
        stop_after(patch, 3, KeyboardInterrupt())
        with pytest.raises(SweepInterrupted):
            sweep(five, out, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.replaced.zarr", "out.zarr"]
    sweep(five, out, overwrite=True)
    assert not older.exists() and xr.open_zarr(out).attrs["complete"] == 1


def test_signals_are_handled_as_before_when_it_ends() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with running.stop_signals():
        assert signal.getsignal(signal.SIGTERM) not in (before, signal.SIG_DFL, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) == before


def test_without_the_main_thread_signals_are_left_alone() -> None:
    def handler() -> object:
        with running.stop_signals():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler).result() == signal.getsignal(signal.SIGTERM)


@pytest.mark.parametrize("keep", KEEPS)
def test_a_store_gives_the_result_of_its_adapters(zoo_folder, tmp_path, keep: str) -> None:
    """Though its factors are read while others are compared."""
    taskvec.ingest(zoo_folder, tmp_path / "zoo.zarr")
    sweep(zoo_folder, tmp_path / "files.zarr", keep=keep, memory=20_000)
    dataset = sweep(tmp_path / "zoo.zarr", tmp_path / "store.zarr", keep=keep, memory=20_000)
    wanted = open_result(tmp_path / "files.zarr").sel(source=dataset["source"].values, target=dataset["source"].values)
    for name in dataset.data_vars:
        np.testing.assert_allclose(dataset[name].values, wanted[name].values, rtol=1e-5, atol=1e-6, err_msg=str(name))


def test_who_joins_a_sweep_that_dies_completes_it(zoo_folder, tmp_path) -> None:
    out, whole = tmp_path / "out.zarr", tmp_path / "whole.zarr"
    code = "import os, sys, time, taskvec\nfrom taskvec.sweeps import plan, running\nplan.SIDES, plan.MOST_MODULES = "
    code += "((1 << 62, 2, 2),), 2\nrunning.compute_units = lambda *a: (print('begun', flush=True), time.sleep(1), "
    code += "os.kill(os.getpid(), 9))"
    code += "\ntaskvec.sweep(sys.argv[1], sys.argv[2], metrics=['captured', 'rec'])"
    command = [sys.executable, "-c", code, str(zoo_folder), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "begun\n"
        sweep(zoo_folder, out, metrics=["captured", "rec"])
    sweep(zoo_folder, whole, metrics=["captured", "rec"])
    assert xr.open_zarr(out).attrs["complete"] == 1 and chunks(out) == chunks(whole)


def test_a_list_of_the_best_takes_new_adapters_up_alone(five, tmp_path, computed) -> None:
    """One with modules that the others lack, too; a changed one costs the units that it is in."""
    keep, out, L = "top=2", tmp_path / "out.zarr", len(SPEC)
    whole = sweep(five, tmp_path / "whole.zarr", keep=keep).load()
    sweep(five[:3], out, keep=keep)
    computed.clear()
    found = sweep(five, out, keep=keep).load()
    assert sum(computed) <= L * (5**2 - 3**2)
    xr.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)
    assert found.attrs["pairs"] == whole.attrs["pairs"]
    computed.clear()
    sweep(five, out, keep=keep)
    assert computed == []
