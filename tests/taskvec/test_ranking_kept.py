"""Rankings of results that keep sums over modules or a list of pairs, and of a million pairs."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from taskvec import sweep
from taskvec.queries import kept
from taskvec.queries.details import details
from taskvec.queries.ranking import ranking
from taskvec.queries.selection import ORDERS, Selection, select
from taskvec.reports.ranking import left_out
from taskvec.sweeps.baseline import add_baseline
from tests.helpers.kept import listed, reduced

SPEC = {f"h.{layer}.{kind}": (24, 16, 3) for layer in range(7) for kind in "qv"}


@pytest.fixture(scope="module")
def zoo():
    """Fifteen adapters: one without the last layer, one of zeros in the first module, two of another rank."""
    from tests.taskvec.conftest import make_adapter, random_factors

    specs = [dict(SPEC) for _ in range(14)]
    del specs[3]["h.6.q"], specs[3]["h.6.v"]
    for i in (4, 5):
        specs[i] = {path: (24, 16, 5) for path in SPEC}
    factors = [random_factors(spec, seed) for seed, spec in enumerate(specs)]
    factors[6]["h.0.q"] = tuple(0 * one for one in factors[6]["h.0.q"])
    shared = {
        path: (b + 0.3 * c, a) for (path, (b, a)), (c, _) in zip(factors[0].items(), factors[1].values(), strict=True)
    }
    return [*(make_adapter(f"a{i}", one) for i, one in enumerate(factors)), make_adapter("child", shared)]


@pytest.fixture(scope="module")
def whole(zoo):
    return sweep(zoo)


def test_sums_rank_as_every_module_does(whole) -> None:
    found, expected = (one.set_index(["source", "target"]) for one in (ranking(reduced(whole)), ranking(whole)))
    pd.testing.assert_frame_equal(found.loc[expected.index], expected, rtol=2e-5, atol=1e-6)
    assert found["q"].notna().all() and (np.diff(found["captured"]) <= 0).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("keep", [reduced, lambda dataset: dataset])
def test_tiles_select_what_the_whole_ranking_has(whole, order: str, keep, monkeypatch) -> None:
    """Whatever the tiles: the first direction of each pair, in the order of the whole ranking."""
    dataset = keep(whole)
    monkeypatch.setattr(kept, "SIDE", 4)
    ranked = ranking(dataset).sort_values(order, ascending=ORDERS[order], kind="stable")
    seen, expected = set(), []
    for row in ranked.to_dict("records"):
        if (pair := frozenset((row["source"], row["target"]))) not in seen:
            seen.add(pair)
            expected.append((row["source"], row["target"]))
    assert select(dataset, Selection(order)).pairs == expected
    few = select(dataset, Selection(order, top=4))
    assert few.pairs == expected[:4] + expected[-4:]
    assert (few.gap, few.between, few.filtered, few.apart, few.absent) == (4, 105 - 8, 0, 0, 0)
    rows = few.rows.reset_index(drop=True)
    back = ranking(dataset).set_index(["source", "target"])
    for name in back.columns:
        np.testing.assert_allclose(rows[name], [back.loc[(r.source, r.target), name] for r in rows.itertuples()], 1e-9)


def test_what_is_filtered_is_counted(whole) -> None:
    for dataset in (whole, reduced(whole)):
        every = select(dataset).rows.iloc[::2]
        limit = float(every["captured"].iloc[5])
        few = select(dataset, Selection(min_captured=limit, top=2))
        assert (len(few.rows), few.between, few.filtered) == (8, 2, 99)
        q = float(np.sort(every["q"])[7])
        assert len(select(dataset, Selection(max_q=q)).rows) == 2 * (every["q"] <= q).sum() >= 16


def test_a_list_has_the_rows_of_the_whole_and_says_what_is_absent(whole) -> None:
    pairs = [(0, 14), (1, 14), (3, 7), (4, 5), (0, 4)]
    expected = ranking(whole).set_index(["source", "target"])
    for counts in (True, False):
        dataset = listed(whole, pairs, counts=counts)
        found = ranking(dataset).set_index(["source", "target"])
        assert len(found) == 10
        same = expected.loc[found.index]
        pd.testing.assert_frame_equal(found.drop(columns="q"), same.drop(columns="q"), rtol=2e-5, atol=1e-6)
        assert (found["q"] >= same["q"] * (1 - 1e-6)).all()  # never too small
        selected = select(dataset, Selection("l1", top=1))
        assert (selected.absent, selected.between, len(selected.rows)) == (100, 3, 4)
        assert "100 pairs that the result does not keep: they are absent, not 0." in left_out(selected)
    assert (found["q"] < 1).any()
    none = select(listed(whole, []))
    assert (len(none.rows), none.absent) == (0, 105)


def test_details_without_modules(zoo, whole) -> None:
    """Flags, means and the verdict are those of the modules; quartiles need them."""
    with_baseline = add_baseline(whole, zoo, [("a0", "child"), ("a4", "a0")])
    pairs = list(itertools.combinations(range(15), 2))
    rows = select(with_baseline).rows
    for dataset in (reduced(with_baseline), listed(with_baseline, pairs)):
        for one, expected in zip(details(dataset, rows), details(with_baseline, rows), strict=True):
            assert one.flags == expected.flags and one.direction.verdict == expected.direction.verdict
            assert {**expected.mean, "rec_chance_sd": 0} == pytest.approx({**one.mean, "rec_chance_sd": 0}, rel=2e-5)
            numbers = [[x for x in dataclasses.astuple(d.direction) if isinstance(x, float)] for d in (one, expected)]
            assert numbers[0] == pytest.approx(numbers[1], rel=1e-4, nan_ok=True)
            np.testing.assert_allclose(one.other_layers["captured"], expected.other_layers["captured"])
            assert np.isnan(one.excess_quartiles).all() and not np.isnan(expected.excess_quartiles).any()
