"""``taskvec show``: a finished result again, as ``sweep`` printed it or otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import xarray as xr

from taskvec.cli import main

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/sweep.json").read_text())


def run(capsys, *arguments: object) -> str:
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--json"],
        ["--top", "1", "--order", "rec"],
        ["--paper"],
        ["--min-captured", "0.5", "--columns", "source,captured,verdict"],
    ],
    ids=" ".join,
)
def test_the_same_as_the_sweep_printed(zoo_folder, tmp_path, capsys, options) -> None:
    out = tmp_path / "out.zarr"
    first = run(capsys, "sweep", zoo_folder, "-o", out, "--baseline", "all", *options)
    assert run(capsys, "show", out, *options) == first.replace(f"written to {out}\n", "")


def test_several_lambdas_and_the_papers_table_6(zoo_folder, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    run(capsys, "sweep", zoo_folder, "-o", out, "--lambda", "0", "--lambda", "0.05")
    document = json.loads(run(capsys, "show", out, "--json", "--top", "1"))
    jsonschema.validate(document, SCHEMA)
    assert [result["lambda"] for result in document["results"]] == [0, 0.05]
    assert run(capsys, "show", out, "--paper", "--top", "1").count(" 0.05 ") == 4


def test_a_result_without_a_baseline_has_the_same_shape(zoo_folder, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    run(capsys, "sweep", zoo_folder, "-o", out, "--baseline", "none")
    document = json.loads(run(capsys, "show", out, "--json"))
    jsonschema.validate(document, SCHEMA)
    assert document["results"][0]["ranking"][0]["other_layers"]["rec"] == {"mean": None, "sd": None, "t": None, "n": 0}


def test_an_unfinished_result_is_shown_with_a_warning(zoo_folder, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    run(capsys, "sweep", zoo_folder, "-o", out)
    written = json.loads((out / "zarr.json").read_text())
    written["attributes"] |= {"complete": False, "unfinished": ["h.0.q"]}
    (out / "zarr.json").write_text(json.dumps(written))
    assert main(["show", str(out)]) == 0
    assert "1 module is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "words"),
    [("missing", ["no such result"]), ("folder", ["not a result"]), ("other", ["not a result", "'complete'"])],
)
def test_what_is_no_result_is_one_line(tmp_path, capsys, kind: str, words: list[str]) -> None:
    path = tmp_path / "out.zarr"
    if kind == "folder":
        path.mkdir()
    elif kind == "other":
        xr.Dataset({"x": 1.0}).to_zarr(path, consolidated=False)
    assert main(["show", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and all(word in err for word in [*words, "out.zarr"])


@pytest.mark.parametrize(("option", "word"), [("--order", "rec_z_raw"), ("--columns", "captured_back")])
def test_what_cannot_be_asked_for(tmp_path, capsys, option: str, word: str) -> None:
    assert main(["show", str(tmp_path), option, "beauty"]) == 2
    err = capsys.readouterr().err
    assert "'beauty'" in err and word in err and err.count("\n") == 1
