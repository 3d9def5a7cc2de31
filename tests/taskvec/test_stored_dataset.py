"""The stored dataset is what users of xarray expect: grouped, plotted, cut into chunks, and written as netCDF."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from taskvec import open_result, sweep
from taskvec.documents import as_lines, as_text

CHUNKS = [None, {}, "auto"]


@pytest.fixture
def out(adapter, tmp_path: Path) -> Path:
    spec = {f"h.{layer}.{kind}": (12, 10, 2) for layer in range(3) for kind in ("attn.q_proj", "v")}
    sweep([adapter(name, spec, seed=i) for i, name in enumerate(("a", "bé", "c" * 70))], tmp_path / "out.zarr")
    return tmp_path / "out.zarr"


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
def test_kinds_and_layers_group_with_and_without_dask(out, chunks) -> None:
    if chunks is not None:
        pytest.importorskip("dask")
    whole = xr.open_zarr(out, chunks=None).load()
    dataset = open_result(out, chunks)
    assert (dataset["rec"].chunks is None) == (chunks is None)
    assert all(isinstance(array.data, np.ndarray) for array in dataset.coords.values())
    rec = dataset["rec"]
    by_kind = rec.groupby("kind").mean().compute()
    assert by_kind["kind"].values.tolist() == ["attn.q_proj", "v"]
    np.testing.assert_allclose(by_kind.sel(kind="v"), whole["rec"][1::2].mean("module"), rtol=1e-6)
    assert rec.groupby("layer").max().compute().sizes["layer"] == 3
    assert rec.where(rec["kind"] == "v", drop=True).compute().sizes["module"] == 3
    assert rec.sel(source="bé", target="c" * 70).compute().shape == (6,)


@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
def test_open_zarr_cuts_it_into_chunks_and_loads_it(out, chunks) -> None:
    if chunks is not None:
        pytest.importorskip("dask")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = xr.open_zarr(out, chunks=chunks).load()
    assert dataset["rec"].groupby("kind").mean().sizes["kind"] == 2


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf", "scipy"])
def test_every_netcdf_holds_it(out, tmp_path, engine: str) -> None:
    for package in {"netcdf4": ["netCDF4"], "h5netcdf": ["h5netcdf", "h5py"], "scipy": ["scipy"]}[engine]:
        pytest.importorskip(package)
    dataset = xr.open_zarr(out, chunks=None).load()
    dataset.to_netcdf(tmp_path / "out.nc", engine=engine)
    with xr.open_dataset(tmp_path / "out.nc", engine=engine) as again:
        np.testing.assert_array_equal(again["rec"], dataset["rec"])
        assert again["source"].values.tolist() == dataset["source"].values.tolist()
        assert again.attrs["complete"] == 1 and again.attrs["input_sha256"] == dataset.attrs["input_sha256"]


def test_attributes_are_what_every_netcdf_holds(out) -> None:
    for name, value in xr.open_zarr(out, chunks=None).attrs.items():
        numbers = isinstance(value, list) and all(type(one) in (int, float) for one in value)
        assert type(value) in (str, int, float) or numbers, name


def test_heat_maps_and_lines_are_drawn(out, tmp_path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    rec = xr.open_zarr(out)["rec"]
    rec.mean("module").plot()
    rec.isel(source=0, target=1).plot()
    pyplot.close("all")


def test_names_have_a_fixed_width_in_one_chunk(out) -> None:
    dataset = xr.open_zarr(out, chunks=None)
    for name in ("module", "source", "target", "kind"):
        assert dataset[name].dtype.kind == "U"
    assert all(array.encoding["chunks"] >= array.shape for array in dataset.coords.values())


@pytest.mark.parametrize("lines", [[], [""], ["", ""], ["one"], ["a", "", "b"]])
def test_a_list_is_one_attribute(lines: list[str]) -> None:
    assert as_lines(as_text(lines)) == lines


def test_a_line_stays_one_line() -> None:
    assert as_text(["a\nb"]) == "a\\nb\n"
