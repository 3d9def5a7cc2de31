"""The stored result: its layout, what may stand in its place, and what is never touched."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import taskvec.sweeps.plan
from taskvec import TaskvecError, sweep
from taskvec.queries import kept
from taskvec.queries.ranking import ranking
from taskvec.sweeps.layout import PAIR, SOURCE
from taskvec.sweeps.options import DEFAULT as METRICS
from taskvec.sweeps.output import remove_result


@pytest.fixture
def zoo(adapter):
    return [adapter("first", seed=1), adapter("second", seed=2)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_xarray_opens_the_layout_of_the_design(zoo, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    returned = sweep(zoo, out)
    with xr.open_zarr(out, consolidated=True) as stored:
        assert len(stored.attrs.pop("checksum")) == 8  # of the metadata, for taskvec alone
        xr.testing.assert_identical(stored.load(), returned.load())
        assert stored.attrs == returned.attrs == sweep(zoo).attrs
        xr.testing.assert_equal(stored, sweep(zoo))
        pair = {name: PAIR for name in METRICS}
        source = {name: SOURCE for name in ("entropy", "norm", "participation")}
        spectrum = {"spectrum": (*SOURCE, "component")}
        assert {name: array.dims for name, array in stored.data_vars.items()} == pair | source | spectrum
        assert {array.dtype for array in stored.data_vars.values()} == {np.dtype("float32")}
        assert all(array.attrs["long_name"] for array in stored.data_vars.values())
        beside = {"layer", "kind", "rows", "columns", "source_group", "target_group"}
        assert set(stored.coords) == {"module", "source", "target"} | beside
        assert stored["rec"].encoding["chunks"][1:] == (64, 64)
        assert stored["rec"].sel(module="h.10.q", source="first", target="second") < 1
        assert set(stored["rec"].coords) == set(stored.coords)
    assert names(tmp_path) == ["out.zarr"]


def test_metadata_of_every_array_names_its_dimensions(zoo, tmp_path) -> None:
    sweep(zoo, tmp_path / "out.zarr", metrics=["rec"])
    metadata = json.loads((tmp_path / "out.zarr/zarr.json").read_text())
    assert metadata["zarr_format"] == 3
    assert metadata["consolidated_metadata"]["metadata"]["rec"]["dimension_names"] == list(PAIR)


def test_a_complete_result_is_not_touched_again(zoo, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    first = sweep(zoo, out)
    before = contents(out)
    xr.testing.assert_identical(sweep(zoo, out).load(), first.load())
    assert contents(out) == before and names(tmp_path) == ["out.zarr"]


@pytest.mark.parametrize(
    ("fewer", "options", "words"),
    [
        (1, {}, "exists, with 1 adapter that is not given, got second"),
        (2, {"metrics": ["rec"]}, "exists, with other options .metrics l1,"),
        (2, {"lam": 0.1}, "lambda"),
        (2, {"precision": "medium"}, "precision highest, not medium"),
        (2, {"keep": "reduced"}, "keep all, not reduced"),
    ],
)
def test_a_result_of_something_else_is_not_overwritten(zoo, tmp_path, fewer, options, words) -> None:
    """Two sweeps to one name: the second must not take the place of the first."""
    out = tmp_path / "out.zarr"
    sweep(zoo, out)
    before = contents(out)
    with pytest.raises(TaskvecError, match=rf"out.zarr: .*{words}.*--overwrite"):
        sweep(zoo[:fewer], out, **options)
    assert contents(out) == before and names(tmp_path) == ["out.zarr"]


def test_overwrite_replaces_the_whole_result(zoo, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    sweep(zoo, out)
    sweep(zoo[:1], out, metrics=["rec"], overwrite=True)
    with xr.open_zarr(out) as stored:
        assert stored.sizes["source"] == 1 and "l1" not in stored
    assert names(tmp_path) == ["out.zarr"]


def test_what_others_put_into_a_result_is_not_removed_with_it(zoo, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    sweep(zoo, out)
    (out / "rec/notes.txt").write_text("mine")
    (out / "mine").mkdir()
    (out / "mine/c").write_text("mine")
    sweep(zoo, out, overwrite=True)
    left = tmp_path / "out.replaced.zarr"
    found = sorted(str(path.relative_to(left)) for path in left.rglob("*") if path.is_file())
    assert found == ["mine/c", "rec/notes.txt"]
    assert xr.open_zarr(out).attrs["complete"] == 1


def test_what_a_sweep_did_not_make_is_not_removed(tmp_path) -> None:
    other = tmp_path / "other.zarr"
    xr.Dataset({"x": ("y", [1.0])}).to_zarr(other, zarr_format=3, consolidated=False)
    before = contents(other)
    assert not remove_result(other) and not remove_result(tmp_path / "missing") and contents(other) == before


def occupy(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    elif kind == "empty folder":
        path.mkdir()
    elif kind == "another store":
        xr.Dataset({"x": ("y", [1.0])}).to_zarr(path, zarr_format=3, consolidated=False)
    else:
        store = path.with_name("store")
        if kind == "link to a store":
            store.mkdir()
            (store / "zarr.json").write_text("{}")
        path.symlink_to(store)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "kind", ["file", "folder", "empty folder", "another store", "dangling link", "link to a store"]
)
def test_what_is_no_result_is_never_touched(zoo, tmp_path, kind: str, overwrite: bool) -> None:
    out = tmp_path / "out.zarr"
    occupy(out, kind)
    before = sorted(tmp_path.rglob("*")), contents(tmp_path)
    with pytest.raises(TaskvecError, match=r"is a link|exists and is not a Zarr store|that taskvec did not make"):
        sweep(zoo, out, overwrite=overwrite)
    assert (sorted(tmp_path.rglob("*")), contents(tmp_path)) == before


@pytest.mark.parametrize("out", ["missing/out.zarr", "..", "file/out.zarr"])
def test_an_impossible_output_path_is_one_clear_line(zoo, tmp_path, out: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TaskvecError) as error:
        sweep(zoo, tmp_path / out)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_store_of_factors_is_not_taken_for_a_result(zoo, tmp_path, overwrite: bool) -> None:
    place = tmp_path / "zoo.zarr"
    taskvec.ingest(taskvec.Zoo(tuple(zoo)), place)
    before = contents(place)
    with pytest.raises(TaskvecError, match="is a store of factors, not a result; choose another output path"):
        sweep(zoo, place, overwrite=overwrite)
    assert contents(place) == before


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
    """One module of 100 × 100 pairs and 4 metrics is 160 kB: 64 more than fit a unit would show as 10 MB."""
    monkeypatch.setattr(kept, "BLOCK_BYTES", 1)
    monkeypatch.setattr(taskvec.sweeps.plan, "UNIT_BYTES", 2**20)
    of_sweep, of_ranking = {}, {}
    for layers in (2, 2, 66):  # the first one also pays for what is allocated once
        zoo = [adapter(f"{i}", {f"h.{layer}.q": (3, 3, 1) for layer in range(layers)}, seed=i) for i in range(100)]
        out = tmp_path / "out.zarr"
        options = {"metrics": ["captured", "rec", "excess", "cosine"], "memory": 10**6, "overwrite": True}
        of_sweep[layers] = peak(lambda zoo=zoo, out=out, options=options: sweep(zoo, out, **options))
        of_ranking[layers] = peak(lambda out=out: ranking(xr.open_zarr(out, chunks=None)))
    assert of_sweep[66] - of_sweep[2] < 4e6
    assert of_ranking[66] - of_ranking[2] < 1e6
