"""``sweep --approximate``: the pairs that hold a share of each other, their values exact, the others absent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from small_sweeps import chunks
from taskvec import TaskvecError, sweep
from taskvec.ingestion import ingest
from taskvec.queries.details import details
from taskvec.queries.selection import Selection, select
from taskvec.store.factor_store import FactorStore
from taskvec.store.memory import AdapterFactors
from taskvec.sweeps import candidates, listed, search
from taskvec.sweeps.approximate import approximate
from taskvec.sweeps.running import SweepInterrupted
from taskvec.sweeps.search import Search
from taskvec.sweeps.status import damages, status
from taskvec.zoo import Zoo

LAYERS, SHAPE, FLOOR = 8, (96, 80), 0.05
METRICS = ["captured", "captured_out", "captured_in", "rec", "rec_chance", "rec_chance_sd", "overlap_u", "cosine"]


def descendants(count: int, seed: int = 0) -> list[dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    """Factors of children and merges of a few tasks, and of strangers; up to rank 8, decaying spectra."""
    generator = torch.Generator().manual_seed(seed)

    def task() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        size = torch.exp(-torch.arange(4) / 2.0)
        return {
            f"h.{layer}.q": (
                torch.linalg.qr(torch.randn(SHAPE[0], 4, generator=generator)).Q * size,
                torch.linalg.qr(torch.randn(SHAPE[1], 4, generator=generator)).Q.mT,
            )
            for layer in range(LAYERS)
        }

    parents = [task() for _ in range(max(2, count // 12))]
    zoo = []
    for i in range(count):
        first, other, own = parents[i % len(parents)], parents[(7 * i + 1) % len(parents)], task()
        kind = i % 5
        share = 0.1 + 0.9 * float(torch.rand(1, generator=generator))
        weights = {0: (0, 0, 1), 1: (share, 1 - share, 0)}.get(kind, (share, 0, (1 - share**2) ** 0.5))
        parts = [(one, weight) for one, weight in zip((first, other, own), weights, strict=True) if weight]
        zoo.append(
            {
                path: (
                    torch.cat([one[path][0] * weight for one, weight in parts], 1),
                    torch.cat([one[path][1] for one, _ in parts]),
                )
                for path in first
            }
        )
    return zoo


@pytest.fixture(scope="module")
def zoo():
    from tests.taskvec.conftest import make_adapter

    return [make_adapter(f"a{i:03}", factors) for i, factors in enumerate(descendants(120))]


@pytest.fixture(scope="module")
def whole(zoo) -> xr.Dataset:
    return sweep(zoo, metrics=METRICS, keep="reduced")


def holding(whole: xr.Dataset, floor: float) -> set[tuple[int, int]]:
    captured = whole["captured"].values
    best = np.fmax(captured, captured.T)
    np.fill_diagonal(best, np.nan)
    return set(zip(*(ends.tolist() for ends in np.nonzero(best >= floor)), strict=True))


def pairs_of(dataset: xr.Dataset) -> set[tuple[int, int]]:
    return set(zip(dataset["listed_source"].values.tolist(), dataset["listed_target"].values.tolist(), strict=True))


def test_finds_nearly_all_pairs_above_the_floor_and_their_values_are_those_of_a_sweep(zoo, whole, monkeypatch) -> None:
    monkeypatch.setattr(listed, "SIDE", 32)
    found = approximate(AdapterFactors(zoo), metrics=METRICS, min_captured=FLOOR)
    true, listed_pairs = holding(whole, FLOOR), pairs_of(found)
    assert listed_pairs <= true and len(true) > 500
    assert len(listed_pairs) >= 0.99 * len(true)
    assert found.attrs["candidates"] < 0.5 * found.attrs["pairs"] / 2
    missed = (len(true) - len(listed_pairs)) / 2
    assert abs(found.attrs["expected_misses"] - missed) <= 0.01 * len(true)
    i, j = found["listed_source"].values, found["listed_target"].values
    for name in ("captured", "mean_captured", "rec", "rec_z_raw", "used", "cosine", "captured_of_layer"):
        np.testing.assert_allclose(found[name].values, whole[name].values[..., i, j], rtol=1e-5, atol=1e-6)
    for name in ("norm", "entropy", "spectrum", "participation"):
        np.testing.assert_array_equal(found[name].values, whole[name].values)


@pytest.mark.parametrize("sample", [128, 1024])
def test_the_sample_says_what_too_small_a_sketch_misses(zoo, whole, monkeypatch, sample: int) -> None:
    """With candidates from half of the floor on, a sketch of 8 misses pairs: as many as the sample says."""
    monkeypatch.setattr(candidates.Candidates, "enough", lambda self, rates: 6)
    monkeypatch.setattr(candidates, "SAMPLE", sample)
    found = approximate(AdapterFactors(zoo), metrics=METRICS, min_captured=FLOOR, sketch=8)
    missed = (len(holding(whole, FLOOR)) - len(pairs_of(found))) / 2
    expected, error = found.attrs["expected_misses"], found.attrs["expected_misses_error"]
    assert missed > 20 and 0 < error < (50 if sample == 128 else 15)
    assert abs(expected - missed) <= 3 * error


def test_a_result_reads_as_any_other(zoo, whole, tmp_path) -> None:
    ingest(Zoo(tuple(zoo[:60])), tmp_path / "zoo.zarr", sketch=32)
    store = FactorStore.open(tmp_path / "zoo.zarr")
    stored = approximate(store, tmp_path / "out.zarr", metrics=METRICS, min_captured=0.2, sketch=32)
    again = approximate(zoo[:60], metrics=METRICS, min_captured=0.2, sketch=32).load()
    assert pairs_of(stored) == pairs_of(again) and stored.attrs["keep"] == "approximate"
    opened = xr.open_zarr(tmp_path / "out.zarr", chunks=None)
    np.testing.assert_array_equal(opened["captured"].values, stored["captured"].values)
    selected = select(opened, Selection(top=3))
    expected = {pair for pair in holding(whole, 0.2) if max(pair) < 60}
    assert len(selected.rows) == 12 and selected.absent >= 60 * 59 // 2 - len(expected) // 2
    assert details(opened, selected.rows)[0].direction.verdict
    with pytest.raises(TaskvecError, match="exists"):
        approximate(zoo[:4], tmp_path / "out.zarr")


@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_search_that_was_stopped_goes_on_to_the_same_bits(zoo, tmp_path, monkeypatch, after: int) -> None:
    """In the sketches, the sample and the candidates; every unit is computed once."""
    monkeypatch.setattr(search, "SIDE", 32)
    monkeypatch.setattr(listed, "SIDE", 16)
    monkeypatch.setattr(candidates, "SAMPLE", 4)
    asked = {"metrics": METRICS, "min_captured": 0.3, "sketch": 32}
    begun, work = [], Search.work

    def counted(job, unit):
        if len(begun) == left:
            raise KeyboardInterrupt
        begun.append(unit.name)
        return work(job, unit)

    monkeypatch.setattr(Search, "work", counted)
    left = -1
    approximate(zoo[:48], tmp_path / "whole.zarr", **asked)
    every = sorted(begun)
    assert {name[0] for name in every} == {"0", "1", "2"}
    begun.clear()
    out, left = tmp_path / "out.zarr", after
    with pytest.raises(SweepInterrupted, match="continue with the same command"):
        approximate(zoo[:48], out, **asked)
    told = status(out)
    assert not told.complete and told.done <= after and told.done < len(every)
    left = -1
    approximate(zoo[:48], out, **asked)
    assert set(begun) == set(every) and len(begun) <= len(every) + 2  # that at work, and that which was not written yet
    assert chunks(out) == chunks(tmp_path / "whole.zarr")
    told = status(out)
    assert told.complete and told.done == told.units == len(every)
    begun.clear()
    approximate(zoo[:48], out, **asked)
    assert begun == [] and list(damages(out)) == []


def test_a_search_takes_new_adapters_up(zoo, tmp_path) -> None:
    asked = {"metrics": METRICS, "min_captured": 0.3, "sketch": 32}
    approximate(zoo[:30], tmp_path / "out.zarr", **asked)
    found = approximate(zoo[:40], tmp_path / "out.zarr", **asked)
    assert pairs_of(found) == pairs_of(approximate(zoo[:40], **asked))
    assert list(damages(tmp_path / "out.zarr")) == []


def test_what_cannot_be_asked(zoo) -> None:
    for wrong in ({"min_captured": 0.0}, {"sketch": 0}, {"metrics": ["rec"]}):
        with pytest.raises(TaskvecError):
            approximate(zoo[:3], **wrong)


def test_pairs_without_a_module_in_common_are_not_compared(adapter) -> None:
    """Two bases: the pairs across them are no pairs."""
    zoo = [
        adapter(f"{kind}{i}", {f"h.0.{kind}": (8, 6, 2)}, seed=i + 5 * (kind == "v")) for kind in "qv" for i in (0, 1)
    ]
    found = approximate(zoo, min_captured=1e-6)
    assert pairs_of(found) == {(0, 1), (1, 0), (2, 3), (3, 2)} and found.attrs["pairs"] == 4
    assert found.attrs["expected_misses"] == found.attrs["expected_misses_error"] == 0  # every pair was compared
    none = approximate(zoo, min_captured=1.0)
    assert none.sizes["listed"] == 0 and select(none).absent == 6
