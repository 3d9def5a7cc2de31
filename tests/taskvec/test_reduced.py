"""What a reduced sweep keeps is what the modules of a whole one come to."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from taskvec import TaskvecError, sweep
from taskvec.chance.means import GeometricMean, NanMean, PooledShare
from taskvec.chance.significance import RecZ
from taskvec.paths import layer_of
from taskvec.queries.ranking import ranking
from taskvec.sweeps import plan
from taskvec.sweeps.keep import Keep
from taskvec.sweeps.layout import MEAN_OF

SHARES = ("captured", "captured_out", "captured_in")


def means(block: np.ndarray) -> np.ndarray:
    mean = NanMean(block.shape[1:])
    mean.add(block)
    return mean.value


def pooled(block: np.ndarray, squares: np.ndarray) -> np.ndarray:
    share = PooledShare(block.shape[1:])
    share.add(block, squares)
    return share.value


def expected(whole: xr.Dataset) -> dict[str, np.ndarray]:
    """From every module of one λ, all at once."""
    values = {name: one.values for name, one in whole.data_vars.items() if one.dims == ("module", "source", "target")}
    there = ~np.isnan(values["rec"])
    squares = np.where(there, np.square(whole["norm"].values, dtype=np.float64)[:, None], 0.0)
    found = {name: means(value) for name, value in values.items() if name not in (*MEAN_OF, "rec_chance_sd")}
    found |= {f"mean_{name}": means(values[name]) for name in MEAN_OF}
    found |= {name: pooled(values[name], squares) for name in SHARES}
    excess, z = GeometricMean(there.shape[1:]), RecZ(there.shape[1:])
    excess.add(values["excess"])
    z.add(values["rec"], values["rec_chance"], values["rec_chance_sd"])
    found |= {"excess": excess.value, "rec_z_raw": z.value, "used": there.sum(0)}
    groups = {
        "layer": [layer_of(path) for path in whole["module"].values],
        "kind": whole["kind"].values.tolist(),
    }
    for by, of in groups.items():
        rows = [[i for i, one in enumerate(of) if one == group] for group in dict.fromkeys(of)]
        found[f"captured_of_{by}"] = np.stack([pooled(values["captured"][some], squares[some]) for some in rows])
        found[f"rec_of_{by}"] = np.stack([means(values["rec"][some]) for some in rows])
    return found


@pytest.mark.parametrize("side", [1, 64])
@pytest.mark.parametrize("lams", [0.0, [0.0, 0.05]])
def test_sums_over_modules_are_those_of_every_module(uneven, monkeypatch, side: int, lams) -> None:
    monkeypatch.setattr(plan, "SIDES", ((1 << 62, side, side),))
    whole, reduced = sweep(uneven, lam=lams), sweep(uneven, lam=lams, keep="reduced")
    assert reduced.attrs["keep"] == "reduced"
    assert reduced["model_layer"].values.tolist() == ["h.0", "h.1", "other"]
    for name in ("entropy", "norm", "participation", "spectrum"):
        xr.testing.assert_equal(reduced[name].drop_vars("target", errors="ignore"), whole[name])
    several = isinstance(lams, list)
    for i in range(2 if several else 1):
        wanted = expected(whole.isel(lam=i) if several else whole)
        got = reduced.isel(lam=i) if several else reduced
        assert set(wanted) | {"entropy", "norm", "participation", "spectrum"} == set(reduced.data_vars)
        for name, value in wanted.items():
            assert got[name].dims[-2:] == ("source", "target")
            np.testing.assert_allclose(got[name].values, value, rtol=2e-6, atol=1e-7, err_msg=name)


def test_λ_is_the_first_dimension_of_what_depends_on_it(uneven) -> None:
    reduced = sweep(uneven, lam=[0.0, 0.1], keep="reduced")
    assert reduced["rec"].dims == reduced["rec_z_raw"].dims == ("lam", "source", "target")
    assert reduced["rec_of_layer"].dims == ("lam", "model_layer", "source", "target")
    assert reduced["captured"].dims == ("source", "target") and reduced["captured_of_kind"].dims[0] == "model_kind"


@pytest.mark.parametrize("by", ["captured", "rec"])
@pytest.mark.parametrize("side", [2, 64])
@pytest.mark.parametrize("stored", [False, True])
def test_the_best_pairs_are_those_of_a_reduced_sweep(adapter, tmp_path, monkeypatch, by, side: int, stored) -> None:
    monkeypatch.setattr(plan, "SIDES", ((1 << 62, side, side),))
    zoo = [adapter(f"a{i}", {"h.0.q": (12, 8, 2), "h.1.q": (12, 8, 3)}, seed=i) for i in range(7)]
    K, reduced = 2, sweep(zoo, keep="reduced")
    top = sweep(zoo, tmp_path / "out.zarr" if stored else None, keep=Keep("top", K, by)).load()
    value = np.where(np.eye(7, dtype=bool), -np.inf, reduced[by].values)
    wanted = {(i, j) for i in range(7) for j in np.argsort(-value[i], kind="stable")[:K]}
    wanted |= {(i, j) for j in range(7) for i in np.argsort(-value[:, j], kind="stable")[:K]}
    wanted |= {(j, i) for i, j in wanted}
    source, target = top["listed_source"].values, top["listed_target"].values
    assert list(zip(source.tolist(), target.tolist(), strict=True)) == sorted(wanted)
    for name, one in reduced.data_vars.items():
        values = one.values[..., source, target] if "target" in one.dims else one.values
        np.testing.assert_array_equal(top[name].values, values, err_msg=name)
    z = reduced["rec_z_raw"].values[~np.eye(7, dtype=bool)]
    assert (top.attrs["pairs"], int(top["negative_z"])) == (42, (z < 0).sum())
    assert float(top["negative_z_squares"]) == pytest.approx(np.square(z[z < 0], dtype=np.float64).sum())
    assert top["z_counts"].sum() == 42 and top["z_counts"].dims == ("z_bin",)
    assert int(top["z_counts"].sel(z_bin=slice(None, 0)).sum()) == pytest.approx((z < 0).sum(), abs=1)
    assert len(ranking(top)) == len(wanted)


@pytest.mark.parametrize("side", [2, 64])
@pytest.mark.parametrize("stored", [False, True])
def test_a_list_over_several_λ_has_the_best_pairs_of_each(adapter, tmp_path, monkeypatch, side: int, stored) -> None:
    monkeypatch.setattr(plan, "SIDES", ((1 << 62, side, side),))
    zoo = [adapter(f"a{i}", {"h.0.q": (12, 8, 2), "h.1.q": (12, 8, 3)}, seed=i) for i in range(6)]
    keep, lams = Keep("top", 1, "rec"), [0.0, 0.1]
    both = sweep(zoo, tmp_path / "out.zarr" if stored else None, lam=lams, keep=keep).load()
    alone = [sweep(zoo, lam=lam, keep=keep) for lam in lams]
    ends = [set(zip(one["listed_source"].values, one["listed_target"].values, strict=True)) for one in (both, *alone)]
    assert ends[0] == ends[1] | ends[2] and ends[1] != ends[2]
    assert both["rec"].dims == ("lam", "listed") and both["rec_of_layer"].dims == ("lam", "model_layer", "listed")
    for lam, one in enumerate(alone):
        for name in ("z_counts", "negative_z", "negative_z_squares"):
            np.testing.assert_array_equal(both[name][lam], one[name])
        at = [
            place in ends[1 + lam]
            for place in zip(both["listed_source"].values, both["listed_target"].values, strict=True)
        ]
        np.testing.assert_array_equal(both["rec"][lam, at], one["rec"])
    assert set(ranking(both)["lam"]) == set(lams) and len(ranking(both)) == 2 * len(ends[0])


def test_what_cannot_be_kept(uneven) -> None:
    with pytest.raises(TaskvecError, match="not computed, got cosine"):
        sweep(uneven, metrics=["rec"], keep=Keep("top", 2, "cosine"))
    for wrong in ("top", "top=0", "some", "top=-1"):
        with pytest.raises(TaskvecError, match="top=K"):
            sweep(uneven, keep=wrong)
