"""Samples to rows, and rows to CSV and back."""

from __future__ import annotations

import dataclasses
import statistics

import pytest

from taskvec_bench import machine
from taskvec_bench.rows import merged, quantile, read_csv, to_rows, write_csv

SHARED = machine.described()


def test_quantiles_are_linear_between_neighbours() -> None:
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    deciles = statistics.quantiles(values, n=5, method="inclusive")
    assert [quantile(values, at) for at in (0.2, 0.4, 0.6, 0.8)] == pytest.approx(deciles)
    assert (quantile(values, 0), quantile(values, 1), quantile([3.0], 0.2)) == (1, 32, 3)


def test_a_row_is_of_all_processes(sample, limit_samples) -> None:
    samples = [sample("a", "ours/cpu", 0.3, 0.2), sample("a", "ours/cpu", 0.1, 0.6, 0.4)]
    row = to_rows([*limit_samples, *samples], SHARED)[-1]
    assert (row.case, row.provider, row.rounds) == ("a", "ours/cpu", 5)
    assert (row.min, row.median, row.minima) == (0.1, 0.3, "0.2 0.1")
    assert (row.q20, row.q80) == (pytest.approx(0.18), pytest.approx(0.44))
    assert row.kernels == SHARED["kernels"] and row.simd == SHARED["simd"]


def test_shares_are_of_the_best_that_torch_does_at_the_same_precision_and_threads(sample, limit_samples) -> None:
    samples = [
        sample("a", "ours/cpu", 0.1),
        sample("b", "ours/cpu", 0.1, precision="float64"),
        sample("c", "ours/cpu", 0.1, flop=0),
        sample("d", "ours/cpu", 0.1, threads=1),
        sample("e", "ours/cpu", 0.1, flop=20e9),
    ]
    rows = {row.case: row for row in to_rows([*limit_samples, *samples], SHARED)}
    shares = {name: (row.share_of_matmul, row.share_of_copy, row.share_of_limit) for name, row in rows.items()}
    assert shares["a"] == pytest.approx((0.4, 1.0, 1.0))
    assert shares["b"] == pytest.approx((0.8, 1.0, 1.0))
    assert shares["c"][0] is None and shares["c"][1:] == pytest.approx((1.0, 1.0))
    assert shares["d"] == (None, None, None)
    assert shares["e"] == pytest.approx((2.0, 1.0, 2.0))
    assert shares["limit float32 m=4096 n=4096"][2] == 1


def test_what_was_refused_or_left_out_has_no_row(sample) -> None:
    rows = to_rows([sample("a", "x", refused="wrong"), sample("a", "y", left_out="peer"), sample("a", "z", 1)], SHARED)
    assert [row.provider for row in rows] == ["z"]


def test_csv_round_trip(sample, limit_samples, tmp_path) -> None:
    made = sample("π, “quoted”\nname", "ours/cpu", 1 / 3, modules=None, computes='precision="medium", 16 bits')
    rows = to_rows([*limit_samples, dataclasses.replace(made, peak_memory=12.5)], SHARED)
    path = tmp_path / "new" / "rows.csv"
    write_csv(path, rows)
    found = read_csv(path)
    assert [path.name for path in path.parent.iterdir()] == ["rows.csv"]
    for row, back in zip(rows, found, strict=True):
        for name, value in dataclasses.asdict(row).items():
            assert getattr(back, name) == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value)
    write_csv(path, found)
    assert read_csv(path) == found


def test_a_file_without_a_column_is_refused(sample, tmp_path) -> None:
    path = tmp_path / "rows.csv"
    write_csv(path, to_rows([sample("a", "ours/cpu", 1)], SHARED))
    path.write_text(path.read_text().replace("peak_memory", "peak"))
    with pytest.raises(ValueError, match="no column peak_memory"):
        read_csv(path)


def test_merged_replaces_whole_cases_and_keeps_the_others(sample) -> None:
    old = to_rows([sample("a", "x", 1), sample("a", "gone", 1), sample("b", "x", 1)], SHARED)
    new = to_rows([sample("a", "x", 2), sample("c", "x", 2)], SHARED)
    assert [(row.case, row.provider, row.min) for row in merged(old, new)] == [
        ("b", "x", 1),
        ("a", "x", 2),
        ("c", "x", 2),
    ]
