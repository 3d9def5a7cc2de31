"""One row a pair: shares of the whole, means that skip NaN, z, p and q, and the order."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import false_discovery_control, norm

from taskvec import TaskvecError, sweep
from taskvec.queries import kept
from taskvec.queries.kept import SHARES
from taskvec.queries.ranking import COLUMNS, ranking
from taskvec.sweeps.baseline import add_baseline

MEANS = ("l1", "rec", "cosine", "rec_chance")


def slow_row(dataset: xr.Dataset, source: str, target: str) -> dict[str, float]:
    """The values of one pair, module by module."""
    sums: dict[str, list[float]] = {name: [] for name in (*MEANS, "excess")}
    held, whole = dict.fromkeys(SHARES, 0.0), 0.0
    above = variance = 0.0
    for module in dataset.module.values:
        pair = dataset.sel(module=module, source=source, target=target)
        if math.isnan(pair.rec):
            continue
        square = float(dataset.norm.sel(module=module, source=target)) ** 2
        whole += square
        for name in SHARES:
            held[name] += 0.0 if math.isnan(pair[name]) else float(pair[name]) * square
        above, variance = above + float(pair.rec) - float(pair.rec_chance), variance + float(pair.rec_chance_sd) ** 2
        for name, values in sums.items():
            if not math.isnan(pair[name]):
                values.append(float(pair[name]))
    row = {name: float(np.mean(values)) if values else math.nan for name, values in sums.items()}
    row |= {name: held[name] / whole if whole else math.nan for name in SHARES}
    row["excess"] = math.exp(np.mean(np.log(sums["excess"]))) if sums["excess"] else math.nan
    return row | {"rec_z_raw": above / math.sqrt(variance) if variance else math.nan, "used": len(sums["rec"])}


def test_every_row_is_that_of_the_slow_loop(uneven) -> None:
    dataset = sweep(uneven)
    ranked = ranking(dataset)
    assert tuple(ranked.columns) == COLUMNS and len(ranked) == 20
    for row in ranked.to_dict("records"):
        for name, value in slow_row(dataset, row["source"], row["target"]).items():
            assert row[name] == pytest.approx(value, rel=1e-6, nan_ok=True), (row["source"], row["target"], name)
    by_pair = ranked.set_index(["source", "target"])["captured"]
    for (source, target), back in ranked.set_index(["source", "target"])["captured_back"].items():
        assert back == pytest.approx(by_pair[target, source], nan_ok=True)


def test_most_captured_first_and_nan_last(uneven) -> None:
    ranked = ranking(sweep(uneven))
    known = ranked["captured"].dropna().to_numpy()
    assert 0 < len(known) < len(ranked)
    assert (np.diff(known) <= 0).all() and ranked["captured"][len(known) :].isna().all()
    assert set(ranked.loc[0, ["source", "target"]]) == {"one", "near"}
    assert (ranked["source"] != ranked["target"]).all()


def test_a_zero_update_holds_nothing_and_has_no_share(uneven) -> None:
    ranked = ranking(sweep(uneven)).set_index(["source", "target"])
    target, source = ranked.loc[("one", "zero")], ranked.loc[("zero", "one")]
    assert target["rec"] == target["rec_chance"] == 0 and np.isnan(target["rec_z_raw"]) and target["used"] == 2
    assert np.isnan(target["captured"]) and source["captured"] == 0


def test_pairs_without_a_common_module_use_none(uneven) -> None:
    ranked = ranking(sweep(uneven))
    apart = ranked[(ranked["source"] == "apart") | (ranked["target"] == "apart")]
    assert len(apart) == 8 and (apart["used"] == 0).all() and apart[["rec", "captured"]].isna().all().all()


@pytest.fixture
def unrelated(adapter):
    """Twelve adapters of random directions on 4 modules: about half of the 132 pairs lie below chance."""
    return [adapter(f"{i}", {f"h.{k}.q": (24, 16, 3) for k in range(4)}, seed=i) for i in range(12)]


@pytest.mark.parametrize("correction", ["bh", "by"])
def test_z_p_and_q_from_the_sweeps_own_sigma0(unrelated, correction) -> None:
    ranked = ranking(sweep(unrelated), correction)
    z = ranked["rec_z_raw"].to_numpy()
    negative = z[z < 0]
    assert len(negative) >= 50
    sigma0 = max(1.0, math.sqrt((negative**2).mean()))
    assert ranked["sigma0"].unique().tolist() == [pytest.approx(sigma0)]
    np.testing.assert_allclose(ranked["rec_z"], z / sigma0)
    np.testing.assert_allclose(ranked["p"], norm.sf(z / sigma0), rtol=1e-10)
    np.testing.assert_allclose(ranked["q"], false_discovery_control(ranked["p"], method=correction), rtol=1e-10)


def test_few_pairs_take_sigma0_from_other_layers_or_have_none(unrelated) -> None:
    few = unrelated[:5]  # 20 pairs
    dataset = sweep(few)
    ranked = ranking(dataset)
    assert ranked["rec_z_raw"].notna().all()
    assert ranked[["sigma0", "rec_z", "p", "q"]].isna().all().all()
    with_baseline = add_baseline(dataset, few)  # 20 pairs, 3 shifts each
    z = with_baseline["shifted_rec_z"].values[:, 1:]
    assert z.shape == (20, 3)
    assert np.isnan(ranking(with_baseline)["sigma0"]).all() == ((z < 0).sum() < 50)
    more = unrelated[:7]
    with_baseline = add_baseline(sweep(more), more)  # 42 pairs, 3 shifts
    z = with_baseline["shifted_rec_z"].values[:, 1:]
    assert (z < 0).sum() >= 50
    sigma0 = max(1.0, math.sqrt((z[z < 0] ** 2).mean()))
    ranked = ranking(with_baseline)
    assert ranked["sigma0"].unique().tolist() == [pytest.approx(sigma0)] and ranked["q"].notna().all()


@pytest.mark.parametrize("chunks", [None, {}])
def test_a_stored_result_ranks_like_one_in_memory(uneven, tmp_path, monkeypatch, chunks) -> None:
    sweep(uneven, tmp_path / "out.zarr")
    monkeypatch.setattr(kept, "BLOCK_BYTES", 1)  # module by module
    if chunks is not None:
        pytest.importorskip("dask")
    stored = xr.open_zarr(tmp_path / "out.zarr", chunks=chunks)
    pd.testing.assert_frame_equal(ranking(stored), ranking(sweep(uneven)), check_dtype=False, rtol=1e-12)


def test_metrics_that_were_left_out_are_nan(uneven) -> None:
    ranked = ranking(sweep(uneven, metrics=["rec", "captured"]))
    assert ranked[["l1", "excess", "captured_out", "rec_chance", "rec_z_raw", "q"]].isna().all().all()
    assert ranked["captured"].notna().any()
    with pytest.raises(TaskvecError, match="no ranking without captured, rec"):
        ranking(sweep(uneven, metrics=["l1"]))
