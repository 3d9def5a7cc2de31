"""The stored result: its layout, when it gets its name, and what an interruption leaves."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import taskvec.sweeps.run
from taskvec import TaskvecError, sweep
from taskvec.documents import as_lines
from taskvec.queries import kept
from taskvec.queries.ranking import ranking
from taskvec.sweeps.layout import PAIR, SOURCE
from taskvec.sweeps.options import DEFAULT as METRICS
from taskvec.sweeps.run import SweepInterrupted
from taskvec.sweeps.writer import ResultWriter


@pytest.fixture
def zoo(adapter):
    return [adapter("first", seed=1), adapter("second", seed=2)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupt_after(monkeypatch, blocks: int) -> None:
    """Ctrl-C in the kernels after so many blocks."""
    compare, done = taskvec.sweeps.run.compute, []

    def until_then(*arguments):
        if len(done) == blocks:
            raise KeyboardInterrupt
        done.append(1)
        return compare(*arguments)

    monkeypatch.setattr(taskvec.sweeps.run, "compute", until_then)


def test_xarray_opens_the_layout_of_the_design(zoo, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    returned = sweep(zoo, out)
    with xr.open_zarr(out, consolidated=True) as stored:
        xr.testing.assert_identical(stored.load(), returned.load())
        assert stored.attrs == returned.attrs
        xr.testing.assert_equal(stored, sweep(zoo))
        pair = {name: PAIR for name in METRICS}
        source = {name: SOURCE for name in ("entropy", "norm", "participation")}
        spectrum = {"spectrum": (*SOURCE, "component")}
        assert {name: array.dims for name, array in stored.data_vars.items()} == pair | source | spectrum
        assert {array.dtype for array in stored.data_vars.values()} == {np.dtype("float32")}
        assert all(array.attrs["long_name"] for array in stored.data_vars.values())
        assert set(stored.coords) == {"module", "source", "target", "layer", "kind", "rows", "columns"}
        assert stored["rec"].encoding["chunks"] == (1, 2, 2)
        assert stored["rec"].sel(module="h.10.q", source="first", target="second") < 1
        assert set(stored["rec"].coords) == set(stored.coords)
    assert names(tmp_path) == ["out.zarr"]


def test_metadata_of_every_array_names_its_dimensions(zoo, tmp_path) -> None:
    sweep(zoo, tmp_path / "out.zarr", metrics=["rec"])
    metadata = json.loads((tmp_path / "out.zarr/zarr.json").read_text())
    assert metadata["zarr_format"] == 3
    assert metadata["consolidated_metadata"]["metadata"]["rec"]["dimension_names"] == list(PAIR)


def test_an_existing_result_is_not_overwritten(zoo, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    sweep(zoo, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(TaskvecError, match=r"out.zarr: exists; .*--overwrite"):
        sweep(zoo[:1], out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert names(tmp_path) == ["out.zarr"]


def test_overwrite_replaces_the_whole_result(zoo, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    sweep(zoo, out)
    sweep(zoo[:1], out, metrics=["rec"], overwrite=True)
    with xr.open_zarr(out) as stored:
        assert stored.sizes["source"] == 1 and "l1" not in stored
    assert names(tmp_path) == ["out.zarr"]


def occupy(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    elif kind == "empty folder":
        path.mkdir()
    else:
        store = path.with_name("store")
        if kind == "link to a store":
            store.mkdir()
            (store / "zarr.json").write_text("{}")
        path.symlink_to(store)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "dangling link", "link to a store"])
def test_what_is_no_zarr_store_is_never_touched(zoo, tmp_path, kind: str, overwrite: bool) -> None:
    out = tmp_path / "out.zarr"
    occupy(out, kind)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TaskvecError, match=r"is a link|exists and is not a Zarr store"):
        sweep(zoo, out, overwrite=overwrite)
    assert sorted(tmp_path.rglob("*")) == before
    if kind in ("file", "folder"):
        assert (out if kind == "file" else out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("out", ["missing/out.zarr", "..", "file/out.zarr"])
def test_an_impossible_output_path_is_one_clear_line(zoo, tmp_path, out: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TaskvecError) as error:
        sweep(zoo, tmp_path / out)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_an_interruption_keeps_what_is_finished(zoo, tmp_path, monkeypatch) -> None:
    whole = sweep(zoo)
    interrupt_after(monkeypatch, blocks=1)
    out = tmp_path / "out.zarr"
    with pytest.raises(SweepInterrupted) as stop:
        sweep(zoo, out)
    assert (stop.value.path, stop.value.finished, stop.value.modules) == (out, 3, 6)
    with xr.open_zarr(out) as stored:
        assert stored.attrs["complete"] == 0
        left = as_lines(stored.attrs["unfinished"])
        assert len(left) == 3
        finished = [path for path in stored.module.values if path not in left]
        xr.testing.assert_equal(stored.sel(module=finished).load(), whole.sel(module=finished))
        assert all(np.isnan(array).all() for array in stored.sel(module=left).data_vars.values())
    assert names(tmp_path) == ["out.zarr"]


def test_an_interruption_leaves_the_older_result_and_says_where_the_new_one_is(zoo, tmp_path, monkeypatch) -> None:
    out = tmp_path / "out.zarr"
    sweep(zoo[:1], out)
    for i, name in enumerate(["out.partial.zarr", "out.partial2.zarr"]):
        with monkeypatch.context() as patch:
            interrupt_after(patch, blocks=1)
            with pytest.raises(SweepInterrupted, match=name):
                sweep(zoo, out, overwrite=True)
        assert len(names(tmp_path)) == i + 2
        assert xr.open_zarr(tmp_path / name).sizes["source"] == 2
    assert xr.open_zarr(out).attrs["complete"] == 1 and xr.open_zarr(out).sizes["source"] == 1


def test_an_interruption_before_anything_is_finished_leaves_nothing(zoo, tmp_path, monkeypatch) -> None:
    interrupt_after(monkeypatch, blocks=0)
    with pytest.raises(KeyboardInterrupt) as stop:
        sweep(zoo, tmp_path / "out.zarr")
    assert not isinstance(stop.value, SweepInterrupted)
    assert names(tmp_path) == []


def test_a_failure_leaves_nothing_and_an_older_result_alone(zoo, tmp_path, monkeypatch) -> None:
    out = tmp_path / "out.zarr"
    sweep(zoo, out)
    monkeypatch.setattr(taskvec.sweeps.run, "participation", lambda spectrum: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sweep(zoo, out, overwrite=True)
    assert names(tmp_path) == ["out.zarr"]
    assert xr.open_zarr(out).attrs["complete"] == 1


def test_a_full_disk_is_one_clear_line(zoo, tmp_path, monkeypatch) -> None:
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ResultWriter, "write", full)
    with pytest.raises(TaskvecError, match="No space left") as error:
        sweep(zoo, tmp_path / "out.zarr")
    assert "\n" not in str(error.value) and names(tmp_path) == []


def peak(call) -> int:
    """Bytes that Python and NumPy held at most during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_modules(adapter, tmp_path, monkeypatch) -> None:
    """One module of 100 × 100 pairs and 4 metrics is 160 kB: 20 more would show as 3.2 MB."""
    monkeypatch.setattr(kept, "BLOCK_BYTES", 1)
    of_sweep, of_ranking = {}, {}
    for layers in (2, 2, 22):  # the first one also pays for what is allocated once
        zoo = [adapter(f"{i}", {f"h.{layer}.q": (3, 3, 1) for layer in range(layers)}, seed=i) for i in range(100)]
        out = tmp_path / "out.zarr"
        options = {"metrics": ["captured", "rec", "excess", "cosine"], "memory": 10**6, "overwrite": True}
        of_sweep[layers] = peak(lambda zoo=zoo, out=out, options=options: sweep(zoo, out, **options))
        of_ranking[layers] = peak(lambda out=out: ranking(xr.open_zarr(out, chunks=None)))
    assert of_sweep[22] - of_sweep[2] < 1e6
    assert of_ranking[22] - of_ranking[2] < 1e6


def test_a_module_interrupted_while_it_is_written_is_nan(zoo, tmp_path) -> None:
    (tmp_path / "store").mkdir()
    results = ResultWriter(zoo, ["h.0.q"], 4, ["l1", "rec"], tmp_path / "store")

    class InterruptedOnce:
        def __init__(self, array):
            self.array, self.calls = array, 0

        def __setitem__(self, rows, value):
            self.calls += 1
            if self.calls == 1:
                raise KeyboardInterrupt
            self.array[rows] = value

    results.arrays["rec"] = InterruptedOnce(results.arrays["rec"])
    ones = np.ones((1, 2, 2), np.float32)
    with pytest.raises(KeyboardInterrupt):
        results.write(["h.0.q"], [0, 1], {"l1": ones, "rec": ones})
    results.finish({})
    assert np.isnan(xr.open_zarr(tmp_path / "store")["l1"]).all()
