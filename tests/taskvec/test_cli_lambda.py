"""``--lambda`` and ``taskvec lambda-path`` end to end."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import xarray as xr

from taskvec.cli import main

SCHEMAS = Path(__file__).parents[1] / "schemas"


def schema(name: str) -> dict[str, object]:
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def document(capsys, *arguments: object) -> dict[str, object]:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def mean(capsys, *arguments: object) -> dict[str, float]:
    """Of the one λ of a projection."""
    return document(capsys, "project", *arguments)["results"][0]["mean"]


@pytest.fixture
def pair(zoo_folder):
    return zoo_folder / "first", zoo_folder / "far"


def test_project_with_one_lambda_has_the_schema_of_none(pair, capsys) -> None:
    whole = document(capsys, "project", *pair, "--lambda", "0.01")
    jsonschema.validate(whole, schema("project"))
    (one,) = whole["results"]
    assert one["lambda"] == 0.01 and one["rec_z_raw"] is None and one["mean"]["rec_chance"] is None
    assert {module["rec_chance"] for module in one["modules"]} == {None}
    jsonschema.validate(document(capsys, "project", *pair), schema("project"))


def test_project_with_several(pair, capsys) -> None:
    several = document(capsys, "project", *pair, "--lambda", "0", "--lambda", "0.01")
    jsonschema.validate(several, schema("project"))
    assert [one["lambda"] for one in several["results"]] == [0.0, 0.01]
    for one in several["results"]:
        assert document(capsys, "project", *pair, "--lambda", one["lambda"])["results"] == [one]


def test_adam_and_its_settings_reach_the_kernel(pair, capsys) -> None:
    adam = ["--method", "adam", "--lambda", "0.05"]
    exact = mean(capsys, *pair, "--lambda", "0.05")
    done = mean(capsys, *pair, *adam)
    assert done["l1"] == pytest.approx(exact["l1"], rel=1e-3)
    values = {
        setting: mean(capsys, *pair, *adam, "--steps", "3", *setting.split())["l2"]
        for setting in (
            "",
            "--lr 0.2",
            "--betas 0.5 0.5",
            "--eps 0.1",
            "--start zeros",
            "--positive softplus",
            "--positive exp",
            "--start normal",
            "--start normal --seed 1",
            "--units paper",
            "--schedule constant",
            "--tol 100",
            "--norm squared",
        )
    }
    assert len(set(values.values())) == len(values), values


def test_sweep_with_one_and_several(zoo_folder, tmp_path, capsys) -> None:
    one = document(capsys, "sweep", zoo_folder, "-o", tmp_path / "one.zarr", "--lambda", "0.01")
    jsonschema.validate(one, schema("sweep"))
    assert all(row["rec_z_raw"] is None for row in one["results"][0]["ranking"])
    two = document(capsys, "sweep", zoo_folder, "-o", tmp_path / "two.zarr", "--lambda", "0", "--lambda", "0.01")
    jsonschema.validate(two, schema("sweep"))
    assert [result["lambda"] for result in two["results"]] == [0.0, 0.01]
    assert [len(result["ranking"]) for result in two["results"]] == [6, 6]
    with xr.open_zarr(tmp_path / "one.zarr") as alone, xr.open_zarr(tmp_path / "two.zarr") as both:
        assert alone.attrs["lambda"] == 0.01 and "lam" not in alone.dims
        xr.testing.assert_equal(alone["rec"], both["rec"].sel(lam=0.01).drop_vars("lam"))


def test_tables_name_their_lambda(zoo_folder, tmp_path, capsys) -> None:
    assert main(["sweep", str(zoo_folder), "-o", str(tmp_path / "o.zarr"), "--lambda", "0", "--lambda", "0.01"]) == 0
    out = capsys.readouterr().out
    assert out.count("How much of each target") == 2 and ", λ = 0.01" in out and "no chance value" in out
    assert main(["project", str(zoo_folder / "first"), str(zoo_folder / "near"), "--lambda", "0.01"]) == 0
    out = capsys.readouterr().out
    assert ", λ = 0.01" in " ".join(out.split())


def test_lambda_path(pair, tmp_path, capsys) -> None:
    exact = document(capsys, "lambda-path", *pair)
    jsonschema.validate(exact, schema("lambda-path"))
    assert exact["schema"] == "taskvec.lambda-path/2"
    assert [one["lambda"] for one in exact["results"]] == [0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]
    assert all((one["starts"], one["used"], len(one["skipped"])) == (0, 4, 2) for one in exact["results"])
    assert exact["results"][0]["paths"][0]["exact"]["rec"] != exact["results"][-1]["paths"][0]["exact"]["rec"]
    picture = tmp_path / "path.png"
    settings = ["--method", "adam", "--seeds", "2", "--steps", "3", "--grid", "0,0.1", "--plot", picture]
    adam = document(capsys, "lambda-path", *pair, *settings)
    jsonschema.validate(adam, schema("lambda-path"))
    assert {one["starts"] for one in adam["results"]} == {2} and picture.stat().st_size > 10_000
    assert main(["lambda-path", *map(str, pair), "--grid", "0,0.1"]) == 0
    out, err = capsys.readouterr()
    assert "→" in out and "active" in out and "2 modules" in err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["project", "first", "far", "--lambda", "-1"], "≥ 0"),
        (["project", "first", "far", "--lambda", "nan"], "nan"),
        (["project", "first", "far", "--lambda", "inf"], "inf"),
        (["project", "first", "far", "--lambda", "x"], "lambda"),
        (["project", "first", "far", "--lambda", "0.1", "--lambda", "0.1"], "twice"),
        (["project", "first", "far", "--lr", "0.1"], "lr"),
        (["project", "first", "far", "--method", "adam", "--steps", "0"], "steps"),
        (["sweep", ".", "-o", "out.zarr", "--lambda", "-1"], "≥ 0"),
        (["lambda-path", "first", "far", "--grid", "0,a"], "--grid"),
        (["lambda-path", "first", "far", "--grid", "0,-1"], "≥ 0"),
        (["lambda-path", "first", "far", "--plot", "x.gif"], "format"),
        (["lambda-path", "first", "far", "--plot", "first"], "format"),
        (["lambda-path", "first", "missing"], "missing"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_status_2(zoo_folder, monkeypatch, capsys, arguments, word) -> None:
    monkeypatch.chdir(zoo_folder)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    (error,) = [line for line in err.splitlines() if not line.startswith("taskvec: warning:")]
    assert out == "" and word in error and not (zoo_folder / "out.zarr").exists()
