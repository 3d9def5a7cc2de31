"""``taskvec show``: a finished result again, as ``sweep`` printed it or otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import xarray as xr

from taskvec.cli import main
from taskvec.ledger.seals import sealed

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
    written["attributes"] |= {"complete": 0}
    (out / "zarr.json").write_bytes(sealed(written, "attributes"))
    assert main(["show", str(out)]) == 0
    assert "not complete" in capsys.readouterr().err


def test_a_result_of_an_earlier_version_is_called_that(zoo_folder, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    run(capsys, "sweep", zoo_folder, "-o", out)
    written = json.loads((out / "zarr.json").read_text())
    del written["attributes"]["checksum"]
    (out / "zarr.json").write_text(json.dumps(written))
    assert main(["show", str(out)]) == 2
    error = capsys.readouterr().err
    assert "was written by an earlier version" in error and "--overwrite" in error


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


def test_groups_give_verdicts_over_runs(tmp_path, capsys) -> None:
    zoo, out, labels = Path(__file__).parents[2] / "examples/zoo", tmp_path / "out.zarr", tmp_path / "labels.csv"
    names = [f"{task}-s{seed}" for task in ("ner", "sum", "ten") for seed in (0, 1)]
    labels.write_text("adapter,group\n" + "".join(f"{name},{name[:3]}\n" for name in names))
    printed = run(capsys, "sweep", zoo, "-o", out, "--top", "2", "--groups", labels, "--json")
    document = json.loads(printed)
    jsonschema.validate(document, SCHEMA)
    rows = document["results"][0]["ranking"]
    of_two = [
        row for row in rows if {row["source"], row["target"]} <= set(names) and row["source"][:3] != row["target"][:3]
    ]
    of_one = [row for row in rows if row not in of_two]
    assert of_one and {row["direction"]["over"] for row in of_one} == {"layers"}
    assert {(row["direction"]["over"], row["direction"]["count"]) for row in of_two} == {("runs", 4)}
    # other layers of every pair of runs are computed, though few pairs are shown
    with xr.open_zarr(out) as dataset:
        assert dataset.sizes["pair"] > len(rows)
    alone = json.loads(run(capsys, "show", out, "--top", "2", "--json"))["results"][0]["ranking"]
    assert {row["direction"]["over"] for row in alone} == {"layers"}
    assert "verdict" in run(capsys, "show", out, "--groups", labels) != run(capsys, "show", out)


def test_groups_of_adapters_that_are_not_there(zoo_folder, tmp_path, capsys) -> None:
    out, labels = tmp_path / "out.zarr", tmp_path / "labels.csv"
    labels.write_text("adapter,group\nnobody,x\n")
    assert main(["sweep", str(zoo_folder), "-o", str(out), "--groups", str(labels)]) == 2
    assert "no adapter has this name" in capsys.readouterr().err and not out.exists()
