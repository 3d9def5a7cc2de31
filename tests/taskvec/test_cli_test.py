"""``taskvec test`` end to end."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from taskvec.cli import main
from taskvec.queries.comparison import NEARER

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/test.json").read_text())
ZOO = Path(__file__).parents[2] / "examples/zoo"
TASKS = [str(ZOO / name) for name in ("ner-s0", "ner-s1", "ten-s0")]


def document(capsys, *paths: str) -> dict:
    assert main(["test", *paths, "--json"]) == 0
    out, _ = capsys.readouterr()
    found = json.loads(out)
    jsonschema.validate(found, SCHEMA)
    return found["results"][0]


def test_another_run_of_the_task_is_held_more_than_another_task(capsys) -> None:
    found = document(capsys, *TASKS)
    assert (found["modules"], found["layers"]) == (12, 6) and set(found["metrics"]) == set(NEARER)
    captured = found["metrics"]["captured"]
    assert captured["favours"] == "first" and captured["low"] > 0.03 and captured["wilcoxon"]["one_sided"] < 0.001
    turned = document(capsys, TASKS[0], *TASKS[:0:-1])["metrics"]["captured"]
    assert turned["favours"] == "second" and turned["difference"] == -captured["difference"]


def test_the_table(capsys) -> None:
    assert main(["test", *TASKS]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"By captured {TASKS[0]} holds {TASKS[1]} more than {TASKS[2]}, between these two runs." in out
    assert "12 modules in 6 layers" in out and "another seed" in out


def test_nothing_in_common(zoo_folder, capsys) -> None:
    assert main(["test", str(zoo_folder / "first"), str(zoo_folder / "near"), TASKS[0]]) == 2
    assert "no module in common" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["a", "b"], ["missing", "missing", "missing"], [*TASKS[:2], TASKS[1]]])
def test_bad_input_is_one_line_and_status_2(capsys, arguments: list[str]) -> None:
    assert main(["test", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
