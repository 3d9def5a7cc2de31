"""One row a pair: means that skip NaN, z, order."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import taskvec.queries.ranking
from taskvec import TaskvecError, sweep
from taskvec.queries.ranking import COLUMNS, ranking


def slow_row(dataset: xr.Dataset, source: str, target: str) -> dict[str, float]:
    """The means and z of one pair, module by module."""
    sums: dict[str, list[float]] = {name: [] for name in ("l1", "rec", "excess", "cosine", "rec_chance")}
    above = variance = 0.0
    for module in dataset.module.values:
        pair = dataset.sel(module=module, source=source, target=target)
        if math.isnan(pair.rec):
            continue
        live = float(dataset.norm.sel(module=module, source=target)) > 0
        chance, sd = float(pair.rec_chance) * live, float(pair.rec_chance_sd) * live
        above, variance = above + float(pair.rec) - chance, variance + sd**2
        sums["rec_chance"].append(chance)
        for name in ("l1", "rec", "excess", "cosine"):
            if not math.isnan(pair[name]):
                sums[name].append(float(pair[name]))
    row = {name: float(np.mean(values)) if values else math.nan for name, values in sums.items()}
    return row | {"rec_z": above / math.sqrt(variance) if variance else math.nan, "used": len(sums["rec"])}


def test_every_row_is_that_of_the_slow_loop(uneven) -> None:
    dataset = sweep(uneven)
    ranked = ranking(dataset)
    assert tuple(ranked.columns) == COLUMNS and len(ranked) == 20
    for row in ranked.to_dict("records"):
        for name, value in slow_row(dataset, row["source"], row["target"]).items():
            assert row[name] == pytest.approx(value, rel=1e-6, nan_ok=True), (row["source"], row["target"], name)


def test_highest_z_first_and_nan_last(uneven) -> None:
    ranked = ranking(sweep(uneven))
    known = ranked["rec_z"].dropna().to_numpy()
    assert 0 < len(known) < len(ranked)
    assert (np.diff(known) <= 0).all() and ranked["rec_z"][len(known) :].isna().all()
    assert set(ranked.loc[0, ["source", "target"]]) == {"one", "near"}
    assert (ranked["source"] != ranked["target"]).all()


def test_a_zero_target_is_not_below_chance(uneven) -> None:
    """Random draws of a zero target are all clipped to nothing: REC 0 is what chance gives."""
    ranked = ranking(sweep(uneven)).set_index(["source", "target"])
    row = ranked.loc[("one", "zero")]
    assert row["rec"] == row["rec_chance"] == 0 and np.isnan(row["rec_z"]) and row["used"] == 2


def test_pairs_without_a_common_module_use_none(uneven) -> None:
    ranked = ranking(sweep(uneven))
    apart = ranked[(ranked["source"] == "apart") | (ranked["target"] == "apart")]
    assert len(apart) == 8 and (apart["used"] == 0).all() and apart["rec"].isna().all()


@pytest.mark.parametrize("chunks", [None, {}])
def test_a_stored_result_ranks_like_one_in_memory(uneven, tmp_path, monkeypatch, chunks) -> None:
    sweep(uneven, tmp_path / "out.zarr")
    monkeypatch.setattr(taskvec.queries.ranking, "BLOCK_BYTES", 1)  # module by module
    if chunks is not None:
        pytest.importorskip("dask")
    stored = xr.open_zarr(tmp_path / "out.zarr", chunks=chunks)
    pd.testing.assert_frame_equal(ranking(stored), ranking(sweep(uneven)), check_dtype=False, rtol=1e-12)


def test_metrics_that_were_left_out_are_nan(uneven) -> None:
    ranked = ranking(sweep(uneven, metrics=["rec"]))
    assert ranked["l1"].isna().all() and ranked["rec_z"].notna().any()
    with pytest.raises(TaskvecError, match="no ranking without rec"):
        ranking(sweep(uneven, metrics=["l1"]))
