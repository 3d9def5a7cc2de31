"""The table of a ranking: which pairs, in which order, which columns, and nothing that a terminal would obey."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from taskvec import TaskvecError, sweep
from taskvec.queries.details import details
from taskvec.queries.ranking import ranking
from taskvec.queries.selection import ORDERS, Selection, select
from taskvec.reports.paper import paper_tables
from taskvec.reports.ranking import COLUMNS, SHOWN, check_columns, ranking_table
from taskvec.reports.tables import Part
from taskvec.reports.terminal import render
from taskvec.sweeps.baseline import add_baseline


def text(*parts: Part, width: int | None = None) -> str:
    return render(parts, width)


def shown(dataset: xr.Dataset, selection: Selection | None = None, columns=SHOWN) -> str:
    selected = select(dataset, selection or Selection())
    return text(ranking_table(selected, details(dataset, selected.rows), columns))


def rows_of(printed: str, names: list[str]) -> list[list[str]]:
    return [line.split() for line in printed.splitlines() if line.split()[:1] and line.split()[0] in (*names, "⋮")]


@pytest.fixture
def zoo(adapter):
    return [adapter(f"task{i}", {f"h.{k}.q": (12, 10, 2) for k in range(7)}, seed=i) for i in range(6)]


def test_one_row_a_pair_the_direction_that_holds_more(zoo) -> None:
    dataset = add_baseline(sweep(zoo), zoo)
    ranked = ranking(dataset).set_index(["source", "target"])
    rows = rows_of(shown(dataset), [one.name for one in zoo])
    assert len(rows) == 15
    captured = [float(row[2]) for row in rows]
    assert captured == sorted(captured, reverse=True)
    for source, target, there, back, layers, q, rec, chance, used in rows:
        row = ranked.loc[source, target]
        assert (there, back) == (f"{row['captured']:.4f}", f"{row['captured_back']:.4f}")
        assert row["captured"] >= row["captured_back"]
        assert (rec, chance, used, q) == (
            f"{row['rec']:.3f}", f"{row['rec_chance']:.3f}", "7", f"{row['q']:.2g}",
        )  # fmt: skip
        assert float(layers) > 0


def test_long_rankings_show_both_ends_and_count_the_rest(zoo) -> None:
    dataset = sweep(zoo)
    printed = shown(dataset, Selection(top=2))
    assert "11 pairs between the 2 at each end left out" in printed
    every = [row[:2] for row in rows_of(shown(dataset), [one.name for one in zoo])]
    rows = [row[:2] for row in rows_of(printed, [one.name for one in zoo])]
    assert rows == [*every[:2], ["⋮", "⋮"], *every[-2:]]
    assert "left out" not in shown(dataset, Selection(top=8))
    assert shown(dataset).count(" - ") == 15 * 2  # no baseline, and so no q


@pytest.mark.parametrize("order", ORDERS)
def test_every_order(zoo, order: str) -> None:
    dataset = add_baseline(sweep(zoo), zoo)
    first = select(dataset, Selection(order)).rows.iloc[::2][order].to_numpy()
    steps = np.diff(first)
    assert len(first) == 15 and ((steps >= 0) if ORDERS[order] else (steps <= 0)).all()


def test_what_is_asked_for(zoo) -> None:
    dataset = add_baseline(sweep(zoo), zoo)
    ranked = ranking(dataset)
    best = ranked["captured"].iloc[::1].max()
    selected = select(dataset, Selection(min_captured=best))
    assert len(selected.rows) == 2 and selected.filtered == 14
    q = np.sort(select(dataset, Selection()).rows.iloc[::2]["q"].to_numpy())[4]
    few = select(dataset, Selection(max_q=q)).rows.iloc[::2]
    assert len(few) >= 5 and (few["q"] <= q).all()
    assert len(select(sweep(zoo), Selection(max_q=1.0)).rows) == 0  # no q, no pair
    with pytest.raises(TaskvecError, match="no order 'beauty'"):
        Selection("beauty")
    with pytest.raises(TaskvecError, match="at least 1"):
        Selection(top=0)


def test_any_columns(zoo) -> None:
    dataset = add_baseline(sweep(zoo), zoo)
    printed = shown(dataset, Selection(top=1), tuple(COLUMNS))
    assert all(one.column.title in printed for name, one in COLUMNS.items() if name != "flags")  # there are none
    assert rows_of(shown(dataset, Selection(top=1), ("target", "rec")), [one.name for one in zoo])[0][1:] == [
        f"{ranking(dataset)['rec'].iloc[0]:.3f}"
    ]
    with pytest.raises(TaskvecError, match="no column 'colour'"):
        check_columns(["rec", "colour"])


def test_zeros_flags_and_pairs_apart(uneven) -> None:
    printed = shown(sweep(uneven))
    assert "4 pairs of adapters without a module in common not shown" in printed
    assert "source zero: the update is zero: nothing was trained." in printed
    assert "nan" not in printed


def test_names_cannot_steer_the_terminal(adapter) -> None:
    printed = shown(sweep([adapter("bad\x1b[31m[bold]", seed=1), adapter("good", seed=2)]))
    assert "\x1b" not in printed and "bad\\x1b[31m[bold]" in printed


def test_one_adapter_has_no_pairs(adapter) -> None:
    assert "no pairs" in shown(sweep([adapter("one")]))


def test_details_are_of_the_pair(uneven) -> None:
    """Means, quartiles and other layers of each row, module by module."""
    dataset = add_baseline(sweep(uneven), uneven)
    selected = select(dataset, Selection())
    for row, found in zip(selected.rows.to_dict("records"), details(dataset, selected.rows), strict=True):
        pair = dataset.sel(source=row["source"], target=row["target"])
        there = pair["rec"].notnull()
        for name in ("rec", "captured", "energy", "excess", "overlap_u"):
            assert found.mean[name] == pytest.approx(float(pair[name].mean()), rel=1e-5, nan_ok=True)
        of_source = dataset.sel(source=row["source"]).isel(target=0)
        assert found.mean["s1_sum"] == pytest.approx(float(of_source["spectrum"].sum("component")[there].mean()))
        low, high = found.excess_quartiles
        assert math.isnan(low) == bool(pair["excess"].isnull().all())
        assert math.isnan(low) or low <= row["excess"] * (1 + 1e-6) <= high * (1 + 2e-6)
        assert found.other_layers["captured"].n <= 1  # two layers at most


def test_the_papers_layouts(zoo) -> None:
    dataset = sweep(zoo, lam=[0.0, 0.05])
    parts = {float(lam): dataset.isel(lam=i) for i, lam in enumerate(dataset["lam"].values)}
    selected = select(parts[0.0], Selection(top=1))
    found = {lam: details(part, selected.rows) for lam, part in parts.items()}
    printed = text(*paper_tables(selected, found))
    source, target = selected.pairs[0]
    assert printed.count(f"{source} → {target}") == 3 == printed.count(f"{target} → {source}")
    three, four, six = printed.split("Table ")[1:]
    pair = parts[0.0].sel(source=source, target=target)
    h1 = float(parts[0.0]["entropy"].sel(source=source).mean())
    assert [f"{h1:.3f}", f"{float(pair['entropy_projected'].mean()):.3f}"] == line(three, source)[3:]
    s1 = float(parts[0.0]["spectrum"].sel(source=source).sum("component").mean())
    assert [f"{s1:.3g}", f"{float(pair['l1'].mean()):.3f}", f"{float(pair['rec'].mean()):.3f}"] == line(four, source)[
        3:
    ]
    assert [lam for lam in ("0", "0.05") if f" {lam} " in six] == ["0", "0.05"] and "L2" in six


def line(table: str, source: str) -> list[str]:
    return next(words for words in map(str.split, table.splitlines()) if words[:2] == [source, "→"])


def test_frames_of_pairs_follow_each_other(zoo) -> None:
    rows = select(sweep(zoo), Selection("l1", top=3)).rows
    first, second = rows.iloc[::2], rows.iloc[1::2]
    pd.testing.assert_series_equal(first["source"], second["target"], check_index=False, check_names=False)
    pd.testing.assert_series_equal(first["target"], second["source"], check_index=False, check_names=False)
