"""Tasks that were trained several times."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from taskvec import TaskvecError
from taskvec.queries.groups import direction_over_runs, of_runs, read_groups
from taskvec.results.direction import Direction

PAIR = Direction("related, direction undecided", 1.0, 0.5, 2.0, 12, "layers", None, (0.6, 0.3), (True, True))


def runs(logs: np.ndarray, **more) -> list[list[Direction]]:
    return [[replace(PAIR, ratio=math.exp(one), **more) for one in row] for row in logs]


def test_a_direction_that_every_run_has() -> None:
    found = direction_over_runs(runs(0.7 + 0.05 * np.arange(9).reshape(3, 3) / 9))
    assert found is not None and found.verdict == "target inside source"
    assert (found.over, found.count, found.captured) == ("runs", 9, pytest.approx((0.6, 0.3)))
    assert 1 < found.low < found.ratio < found.high


def test_runs_that_disagree() -> None:
    found = direction_over_runs(runs(np.array([[0.7, 0.6], [-0.5, -0.6]])))
    assert found is not None and found.verdict == "related, direction undecided"


def test_cut_to_the_smaller_rank_must_agree() -> None:
    logs = np.full((2, 3), 0.5)
    assert direction_over_runs(runs(logs, ratio_cut=1.5)).verdict == "target inside source"
    assert direction_over_runs(runs(logs, ratio_cut=0.7)).verdict == "related, direction undecided"


def test_one_run_says_nothing_of_runs() -> None:
    assert direction_over_runs(runs(np.ones((1, 3)))) is None
    assert direction_over_runs(runs(np.ones((3, 1)))) is None
    assert direction_over_runs(runs(np.ones((2, 2)), verdict=None)) is None


@pytest.mark.parametrize("size", [(2, 2), (2, 3), (3, 3), (5, 5), (2, 10)])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_rate_when_both_are_runs_of_one_task(size: tuple[int, int], noise: float) -> None:
    """The log ratio of two runs is antisymmetric in them, with noise of its own."""
    rng = np.random.default_rng(5)
    draws, claimed = 1500, 0
    for _ in range(draws):
        one, two = (rng.standard_normal(n) for n in size)
        interval = of_runs(np.exp(one[:, None] - two + noise * rng.standard_normal(size)))[1]
        claimed += interval.low * interval.high > 0
    assert 0 < claimed / draws < 0.05 + 3 * math.sqrt(0.05 / draws)


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("\ufeffadapter,group\nner-0,ner\nner-1,ner\n")
    assert read_groups(path, ["ner-0", "ner-1", "sum-0"]) == {"ner-0": "ner", "ner-1": "ner"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a,b\n1,2\n", "columns adapter and group"),
        ("adapter,group\nten,x\n", "line 2: no adapter has this name, got 'ten', expected ner, sum"),
        ("adapter,group\nner,x\nner,y\n", "line 3: the adapter 'ner' comes twice"),
        ("", "columns"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(TaskvecError, match=word):
        read_groups(path, ["ner", "sum"])
    with pytest.raises(TaskvecError, match="cannot be read"):
        read_groups(tmp_path / "none.csv", ["ner"])
