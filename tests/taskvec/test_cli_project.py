"""``taskvec project`` end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from taskvec import load_adapter, project
from taskvec.cli import main

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/project.json").read_text())


def test_json_is_the_one_document_on_stdout(zoo_folder) -> None:
    source, target = str(zoo_folder / "first"), str(zoo_folder / "far")
    done = subprocess.run(
        [sys.executable, "-m", "taskvec", "project", source, target, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    (result,) = document["results"]
    assert (result["source"], result["target"]) == (source, target)
    assert [module["module"] for module in result["modules"]] == ["h.0.q", "h.0.v", "h.1.q", "h.1.v"]
    assert result["skipped"] == [{"module": f"h.10.{kind}", "reason": f"only in {source}"} for kind in "qv"]
    assert result["used"]["rec"] == 4 and result["verdict"] == "undecided: fewer than six layers"
    in_python = project(load_adapter(source), load_adapter(target))
    assert result["mean"] == pytest.approx(in_python.mean) and result["pooled"] == pytest.approx(in_python.pooled)


def test_the_table(zoo_folder, capsys) -> None:
    assert main(["project", str(zoo_folder / "first"), str(zoo_folder / "near")]) == 0
    out, err = capsys.readouterr()
    assert "h.10.v" in out and "mean" in out and "other layers, 2 shifts" in " ".join(out.split())
    assert err == ""


def test_nothing_to_compare_is_an_error_that_says_why(zoo_folder, capsys) -> None:
    weights = zoo_folder / "far/adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes().replace(b"model.h.", b"model.g."))
    assert main(["project", str(zoo_folder / "first"), str(zoo_folder / "far"), "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "no module in common, got for example h.0.q and g.0.q" in err


def test_two_base_models_are_a_warning(zoo_folder, capsys) -> None:
    config = zoo_folder / "near/adapter_config.json"
    config.write_text(config.read_text().replace('"made"', '"another"'))
    assert main(["project", str(zoo_folder / "first"), str(zoo_folder / "near"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["results"][0]["mean"]["rec"] > 0.95
    assert "made" in err and "another" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "word"), [(["missing", "missing"], "missing"), (["only-one"], "TARGET"), ([], "SOURCE")]
)
def test_bad_input_is_one_line_and_status_2(capsys, arguments, word: str) -> None:
    assert main(["project", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and word in err
