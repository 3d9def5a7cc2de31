"""``--fail-on``: a small language without code, and what it writes for machines."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from taskvec import TaskvecError
from taskvec.queries.rules import Rule, with_groups
from taskvec.reports.checks import Checked, junit, sarif

COLUMNS = ("source", "target", "captured", "rec", "same_group")
ROWS = pd.DataFrame(
    {
        "source": ["a", "b", "c"],
        "target": ["b", "c", "a"],
        "captured": [0.95, 0.5, np.nan],
        "rec": [0.2, 0.9, 0.4],
        "same_group": [True, False, False],
    }
)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("captured > 0.9", "a"),
        ("captured > 0.4 and not same_group", "b"),
        ("captured > 0.9 or rec >= 0.9", "ab"),
        ("0.3 < rec < 0.5", "c"),
        ("source == 'a' or target == 'a'", "ac"),
        ("source != target", "abc"),
        ("abs(captured - rec) * 2 > 0.7", "ab"),
        ("-rec + 1 <= 0.1 + 0.0", "b"),
        ("not captured > 0", "c"),
        ("same_group", "a"),
        ("True", "abc"),
        ("captured / 0 > 1", "ab"),
    ],
)
def test_a_rule_picks_rows(text: str, broken: str) -> None:
    assert "".join(Rule.parse(text, COLUMNS).broken(ROWS)["source"]) == broken


@pytest.mark.parametrize(
    "text",
    [
        "",
        "captured",
        "captured >",
        "captured > 'a'",
        "not captured",
        "captured and rec",
        "source + target == 'ab'",
        "__import__('os').system('true') == 0",
        "abs(captured, rec) > 0",
        "abs(*captured) > 0",
        "(lambda: True)()",
        "captured.size > 0",
        "captured[0] > 0",
        "captured ** rec > 0",
        "captured in (1, 2)",
        "[x for x in source] == source",
        "f'{captured}' == 'a'",
        "(captured := 1) > 0",
        "captured > " + "9" * 900,
        "(" * 400 + "captured > 0" + ")" * 400,
        "captured > 0 " + "or captured > 0 " * 100,
        "True if captured > 0 else False",
        "captured > 1j",
        "captured > None",
    ],
)
def test_what_is_no_rule_runs_nothing(text: str) -> None:
    with pytest.raises(TaskvecError, match="--fail-on"):
        Rule.parse(text, COLUMNS)


def test_an_unknown_column_is_named_with_those_there_are() -> None:
    with pytest.raises(TaskvecError, match=r"no column 'beauty'.*captured, rec"):
        Rule.parse("beauty > 1", COLUMNS)


def test_groups_of_pairs() -> None:
    rows = with_groups(ROWS.drop(columns="same_group"), {"a": "x", "b": "x"})
    assert rows["same_group"].tolist() == [True, False, False]
    assert rows["source_group"].tolist() == ["x", "x", ""]


def test_junit_and_sarif_hold_every_pair_and_every_file_left_out() -> None:
    rows = ROWS.head(2).assign(source=['<&\x1b"]]>', "b"]).to_dict("records")
    checked = [Checked("captured > 0.4", rows), Checked("rec > 2", [])]
    suites = ElementTree.fromstring(junit(checked, ["x: not readable"]))
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in suites] == [
        ("captured > 0.4", "2", "2"), ("rec > 2", "1", "0"), ("left out", "1", "1"),
    ]  # fmt: skip
    assert suites[0][0].get("name") == '<&\\x1b"]]> → b'
    document = sarif(checked, ["x: not readable"], "out.zarr", "1")
    (run,) = document["runs"]
    assert document["version"] == "2.1.0" and len(run["results"]) == 3
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {one["ruleId"] for one in run["results"]} <= known and all(one["level"] == "error" for one in run["results"])
