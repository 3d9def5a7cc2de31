"""A sweep of real GPT-2 adapters that other people trained: related ones stand out, unrelated ones are near chance."""

from __future__ import annotations

import numpy as np
import pytest

from taskvec import load_zoo, project, sweep
from taskvec.queries.ranking import ranking

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
    assert dataset.attrs["complete"] is True
    has = np.array([[path in one.modules for one in gpt2.adapters] for path in dataset.module.values])
    np.testing.assert_array_equal(~np.isnan(dataset["rec"].values), has[:, :, None] & has[:, None, :])


def test_every_adapter_includes_itself(dataset) -> None:
    own = dataset["rec"].values.diagonal(axis1=1, axis2=2)
    np.testing.assert_allclose(own[~np.isnan(own)], 1, atol=1e-4)


@pytest.mark.parametrize("pair", [CHECKPOINTS, CHECKPOINTS[::-1]])
def test_checkpoints_of_one_run_include_each_other(ranked, pair) -> None:
    row = ranked.loc[pair]
    assert row["rec"] > 0.9 and row["excess"] > 1e5 and row["cosine"] > 0.9 and row["rec_z"] > 10


def test_unrelated_adapters_are_near_chance(ranked) -> None:
    """Excess below 14 is what the design measured for unrelated ones."""
    unrelated = ranked[(ranked["excess"] < 14) & (ranked["used"] >= 12)]
    assert len(unrelated) > 200
    assert abs((unrelated["rec"] - unrelated["rec_chance"]).median()) < 0.03
    assert 0.3 < unrelated["rec"].median() < 0.45 and 0.3 < unrelated["rec_chance"].median() < 0.4
    assert unrelated["rec_z"].abs().median() < 2


def test_project_agrees_with_the_sweep(gpt2, ranked) -> None:
    by_name = {one.name: one for one in gpt2.adapters}
    result = project(*(by_name[name] for name in CHECKPOINTS))
    row = ranked.loc[CHECKPOINTS]
    for name in ("l1", "rec", "rec_chance", "excess", "cosine"):
        assert result.mean[name] == pytest.approx(row[name], rel=1e-4), name
    assert result.rec_z == pytest.approx(row["rec_z"], rel=1e-4)
