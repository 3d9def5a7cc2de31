"""Progress on stderr: a bar for people, few lines for programs, silence otherwise."""

from __future__ import annotations

import json
import sys

import pytest

from taskvec import progress


@pytest.mark.parametrize("mode", ["off", "auto", None])
def test_progress_is_silent_away_from_a_terminal(mode: progress.Mode, capfd: pytest.CaptureFixture[str]) -> None:
    with progress.progress_bar(mode, "working", 3) as advance:
        for _ in range(3):
            advance(1)
    assert capfd.readouterr() == ("", "")


def test_progress_draws_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bar("auto", "[red]working", 3) as advance:
        advance(3)
    out, err = capfd.readouterr()
    assert out == "" and "[red]working" in err and "3/3" in err


def test_speed_is_in_lines_and_bars(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def speed(rate: float) -> dict[str, float]:
        return {"pairs_per_second": rate, "share": 0.123456}

    with progress.progress_bar("json", "working", 10, speed) as advance:
        advance(10)
    line = json.loads(capfd.readouterr().err)
    assert line["pairs_per_second"] > 0 and line["share"] == 0.123
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with progress.progress_bar("auto", "working", 10, speed) as advance:
        advance(10)
    assert "pairs per second, 0.123 share" in capfd.readouterr().err


def test_progress_lines_are_few_and_end_with_the_last(capfd: pytest.CaptureFixture[str]) -> None:
    with progress.progress_bar("json", "working", 1000) as advance:
        for _ in range(500):
            advance(2)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert 2 <= len(lines) < 20
    assert lines[0] == {"progress": "working", "done": 2, "total": 1000, "seconds_left": lines[0]["seconds_left"]}
    assert lines[-1] == {"progress": "working", "done": 1000, "total": 1000, "seconds_left": 0}
