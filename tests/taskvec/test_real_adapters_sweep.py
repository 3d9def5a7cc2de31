"""A sweep of real GPT-2 adapters that other people trained: related ones stand out, unrelated ones are near chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from taskvec import load_zoo, project, sweep
from taskvec.chance.layers import other_layers
from taskvec.queries.ranking import ranking
from taskvec.sweeps.baseline import add_baseline

CHECKPOINTS = ("laziestcactus-results-checkpoint-1000", "laziestcactus-results-checkpoint-3000")


@pytest.fixture(scope="module")
def gpt2(real_adapters):
    return load_zoo([real_adapters / "gpt2"])


@pytest.fixture(scope="module")
def dataset(gpt2, tmp_path_factory):
    return sweep(gpt2, tmp_path_factory.mktemp("sweep") / "gpt2.zarr")


@pytest.fixture(scope="module")
def ranked(dataset):
    return ranking(dataset).set_index(["source", "target"])


def test_the_whole_folder(dataset, gpt2) -> None:
    assert len(gpt2.adapters) == 26 and not gpt2.skipped
    assert dict(dataset.sizes) == {"module": 36, "source": 26, "target": 26, "component": 8}
    assert dataset.attrs["complete"] == 1
    has = np.array([[path in one.modules for one in gpt2.adapters] for path in dataset.module.values])
    np.testing.assert_array_equal(~np.isnan(dataset["rec"].values), has[:, :, None] & has[:, None, :])


def test_every_adapter_includes_itself(dataset) -> None:
    own = dataset["rec"].values.diagonal(axis1=1, axis2=2)
    np.testing.assert_allclose(own[~np.isnan(own)], 1, atol=1e-4)


@pytest.mark.parametrize("pair", [CHECKPOINTS, CHECKPOINTS[::-1]])
def test_checkpoints_of_one_run_include_each_other(ranked, pair) -> None:
    row = ranked.loc[pair]
    assert row["captured"] > 0.8 and row["rec"] > 0.9 and row["excess"] > 1e4 and row["cosine"] > 0.9
    assert row["q"] < 0.05


def test_unrelated_adapters_are_near_chance(ranked) -> None:
    unrelated = ranked[(ranked["captured"] < 1e-3) & (ranked["used"] >= 12)]
    assert len(unrelated) > 200
    assert abs((unrelated["rec"] - unrelated["rec_chance"]).median()) < 0.03
    assert 0.3 < unrelated["rec"].median() < 0.45 and 0.3 < unrelated["rec_chance"].median() < 0.45
    assert 1 < unrelated["sigma0"].iloc[0] < 2 and (unrelated["p"] < 0.01).mean() < 0.05


def test_project_agrees_with_the_sweep(gpt2, ranked) -> None:
    by_name = {one.name: one for one in gpt2.adapters}
    result = project(*(by_name[name] for name in CHECKPOINTS))
    row = ranked.loc[CHECKPOINTS]
    for name in ("l1", "rec", "rec_chance", "cosine"):
        assert result.mean[name] == pytest.approx(row[name], rel=1e-4), name
    assert result.pooled["captured"] == pytest.approx(row["captured"], rel=1e-4)
    assert result.rec_z_raw == pytest.approx(row["rec_z_raw"], rel=1e-4)


@pytest.mark.slow
def test_other_layers_hold_their_level(dataset, gpt2) -> None:
    """Every shift of a pair against its other shifts: t finds as many of them as it says, upwards and at 5 and 1 %."""
    with_baseline = add_baseline(dataset, gpt2)
    z = with_baseline["shifted_rec_z"].values[:, 1:]
    sigma0 = ranking(with_baseline)["sigma0"].iloc[0]
    assert (z / sigma0 > norm.isf(0.01)).mean() <= 0.05 and (z / sigma0 > norm.isf(1e-4)).mean() <= 0.002
    for name, logarithm in (("shifted_captured", True), ("shifted_rec", False)):
        values = with_baseline[name].values[:, 1:]
        values = values[~np.isnan(values).any(1)]  # [pairs, 11]
        left = [
            other_layers(values[:, k], np.delete(values, k, axis=1), logarithm=logarithm).t
            for k in range(values.shape[1])
        ]
        p = student.sf(np.concatenate(left), values.shape[1] - 2)
        for level in (0.05, 0.01):
            assert 0.7 < (p < level).mean() / level < 1.5, (name, level)
