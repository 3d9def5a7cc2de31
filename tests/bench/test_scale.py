"""The tables of docs/SCALE.md are what the arithmetic gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskvec_bench import scale
from taskvec_kernels.metrics import PAIRWISE

ROOT = Path(__file__).parents[2]


def test_the_documents_tables_are_those_of_the_command(capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["scale"])
    scale.main()
    rows = capsys.readouterr().out.splitlines()
    text = (ROOT / "docs/SCALE.md").read_text().splitlines()
    assert len(rows) == 13 and [row for row in rows if row and row not in text] == []


def test_what_is_counted() -> None:
    assert scale.METRICS == len(PAIRWISE) - 1  # lp has no p of its own
    assert scale.bytes_of(10)["store"] == 10 * 64 * 8 * 8192 * 4
    assert scale.pair_flop() == 64 * 2 * 64 * 8192
    assert [scale.amount(x) for x in (12, 1.5e3, 2e15)] == ["12 B", "1.5 kB", "2 PB"]
    assert [scale.duration(x) for x in (0.5, 90, 86400 * 3)] == ["0.5 s", "1.5 min", "3 d"]
    with pytest.raises(LookupError):
        scale.rate(scale.DATA / "intel-xeon-2.50ghz-2-cores.csv", "no case")


def test_this_machine_can_be_measured(monkeypatch) -> None:
    monkeypatch.setattr(scale, "M", 64)
    monkeypatch.setattr(scale, "N", 64)
    here = scale.measured(8)
    assert here.flop > 0 and here.sketches is not None and here.sketches > 0
