"""Sweeps with ``device="cuda"`` next to those on the CPU: from adapters, folders and stores, whatever is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taskvec_kernels import Solver

from .conftest import ran

for package in ("safetensors", "xarray", "zarr"):
    pytest.importorskip(package)

import taskvec  # noqa: E402
from taskvec.ingestion import ingest  # noqa: E402
from taskvec.store.factor_store import FactorStore  # noqa: E402
from taskvec.store.kept import Kept  # noqa: E402
from taskvec.sweeps.keep import Keep  # noqa: E402
from taskvec.sweeps.like import like  # noqa: E402
from taskvec.sweeps.options import Options  # noqa: E402
from taskvec_bench.zoos import Recipe, write_folders  # noqa: E402
from taskvec_bench.zoos.recipe import llama_base, square_base  # noqa: E402

BACKENDS = ("triton",)
ZOO = Recipe(20, (square_base(96, 3), llama_base(64, 2)), (4, 8, 16))
STORED = ("all", "reduced", "top=3")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("zoo")
    write_folders(root, ZOO)
    return root


@pytest.fixture(scope="module")
def store(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("store") / "ZOO.zarr"
    ingest(folders, place)
    return place


def assert_alike(there: Any, here: Any) -> None:
    """Two results; of a list the pairs both have: the last of the best may be another one of the same value."""
    if "listed" in here.dims:
        ends = [list(zip(one.listed_source.values, one.listed_target.values, strict=True)) for one in (there, here)]
        both = sorted(set(ends[0]) & set(ends[1]))
        assert len(both) >= 0.9 * len(ends[1])
        there, here = (
            one.isel(listed=[some.index(pair) for pair in both]) for one, some in zip((there, here), ends, strict=True)
        )
    assert set(there.data_vars) == set(here.data_vars)
    for name in here.data_vars:
        if here[name].dtype.kind not in "fi":
            np.testing.assert_array_equal(there[name], here[name], err_msg=name)
            continue
        if name == "z_counts":  # bins
            assert there[name].sum() == here[name].sum()
            continue
        of_gpu, of_cpu = (one[name].values.astype(float) for one in (there, here))
        if "residual" in name:  # near 0 the root amplifies
            of_gpu, of_cpu = of_gpu**2, of_cpu**2
        # an adapter beside itself has lengths that cancel: what is left is a share of the largest
        atol = 1e-4 * max(1.0, float(np.fmax.reduce(np.abs(of_cpu), None, initial=0)))
        np.testing.assert_allclose(of_gpu, of_cpu, rtol=1e-3, atol=atol, equal_nan=True, err_msg=name)


def on_both(gpu: torch.device, of: Any, folder: Path, **options: Any) -> tuple[Any, Any]:
    """The result of a GPU, whose kernels must have run, and that of the CPU."""
    before = ran["triton"]
    there = taskvec.sweep(of, folder / "there.zarr", device=str(gpu), **options)
    assert ran["triton"] > before, "no kernel ran on the GPU"
    return there, taskvec.sweep(of, folder / "here.zarr", **options)


@pytest.mark.parametrize("keep", STORED)
@pytest.mark.parametrize("of", ["folders", "store"])
def test_what_is_kept(of: str, keep: str, gpu: torch.device, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert_alike(*on_both(gpu, request.getfixturevalue(of), tmp_path, keep=keep))


@pytest.mark.parametrize("solver", [Solver([0.0, 0.01]), Solver(0.01, "adam", steps=8, seed=3)], ids=["exact", "adam"])
def test_sparse(solver: Solver, gpu: torch.device, store: Path, tmp_path: Path) -> None:
    assert_alike(*on_both(gpu, store, tmp_path, keep="reduced", solver=solver))


def test_in_memory(gpu: torch.device, folders: Path) -> None:
    zoo = taskvec.load_zoo(folders)
    there, here = (taskvec.sweep(zoo, device=device) for device in (str(gpu), "cpu"))
    assert_alike(there, here)


def test_new_adapters(gpu: torch.device, folders: Path, tmp_path: Path) -> None:
    """What was computed stays, bit for bit."""
    zoo, out = sorted(folders.iterdir()), tmp_path / "out.zarr"
    before = taskvec.sweep(zoo[:-2], out, device=str(gpu), keep="reduced").load()
    after = taskvec.sweep(zoo, out, device=str(gpu), keep="reduced").load()
    old = dict(source=before.source.values, target=before.target.values)
    for name in before.data_vars:
        if {"source", "target"} <= set(before[name].dims):
            np.testing.assert_array_equal(after[name].sel(old).values, before[name].values, err_msg=name)
    whole = taskvec.sweep(zoo, device="cpu", keep="reduced")
    assert_alike(after, whole.sel({dim: after[dim].values for dim in ("module", "model_layer", "model_kind")}))


def test_search(gpu: torch.device, store: Path, tmp_path: Path) -> None:
    """``--approximate``: sketches and candidates."""
    there, here = on_both(gpu, store, tmp_path, keep=Keep("approximate", floor=0.05))
    assert_alike(there, here)


@pytest.mark.parametrize("of", ["folders", "store"])
def test_like(of: str, gpu: torch.device, folders: Path, request: pytest.FixtureRequest) -> None:
    new = taskvec.load_adapter(sorted(folders.iterdir())[0])
    there, here = (like(request.getfixturevalue(of), new, Options(device=device)) for device in (str(gpu), "cpu"))
    assert_alike(there, here)


def test_layer_baseline(gpu: torch.device, folders: Path, tmp_path: Path) -> None:
    zoo = sorted(folders.iterdir())[:4]
    both = [taskvec.add_baseline(one, zoo) for one in on_both(gpu, zoo, tmp_path)]
    assert "shifted_captured" in both[0]
    assert_alike(*both)


def test_forms_stay_on_the_gpu(gpu: torch.device, store: Path) -> None:
    kept = Kept(FactorStore.open(store), 1, str(gpu))
    entry = kept.entries[0]
    path, module = next(iter(entry.modules.items()))
    form = kept.read((path,), (0,), module.rank)
    assert all(part.device == gpu for part in (*form.svd, form.norms))
    assert kept.read((path,), (0,), module.rank) is form
