"""``taskvec sweep`` end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import xarray as xr

import taskvec.sweeps.run
from taskvec.cli import main

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/sweep.json").read_text())


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error::DeprecationWarning", "-m", "taskvec", "sweep", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_json_is_the_one_document_on_stdout(zoo_folder, tmp_path) -> None:
    done = run(zoo_folder, "-o", tmp_path / "out.zarr", "--json", "--progress", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["out"] == str(tmp_path / "out.zarr")
    assert document["adapters"] == ["far", "first", "near"]
    assert document["modules"] == ["h.0.q", "h.0.v", "h.1.q", "h.1.v", "h.10.q", "h.10.v"]
    assert len(document["ranking"]) == 6
    best = document["ranking"][0]
    assert {best["source"], best["target"]} == {"first", "near"}
    assert best["rec"] > 0.95 and best["used"] == 6 and best["excess"] > 10
    assert document["ranking"][-1]["used"] == 4
    progress = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert progress[-1]["done"] == progress[-1]["total"] == 4 * 9 + 2 * 4
    with xr.open_zarr(tmp_path / "out.zarr") as stored:
        assert float(stored["rec"].sel(source=best["source"], target=best["target"]).mean()) == pytest.approx(
            best["rec"], rel=1e-6
        )


def test_the_table_and_where_the_result_is(zoo_folder, tmp_path, capsys) -> None:
    assert main(["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr"), "--top", "1"]) == 0
    out, err = capsys.readouterr()
    assert "first" in out and "the other way" in out and "|z| < 3 proves nothing" in " ".join(out.split())
    assert "1 pair between the 1 at each end left out" in out
    assert f"written to {tmp_path / 'out.zarr'}" in out
    assert err == ""


def test_one_adapter_alone_has_no_ranking(zoo_folder, tmp_path, capsys) -> None:
    arguments = ["sweep", str(zoo_folder / "first"), "-o", str(tmp_path / "out.zarr")]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ranking"] == []
    assert main([*arguments, "--overwrite"]) == 0
    assert "no pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("prepare", "options", "words"),
    [
        (lambda out: out.mkdir(), [], ["exists", "not a Zarr store"]),
        (lambda out: out.write_text("mine"), ["--overwrite"], ["exists", "not a Zarr store"]),
        (lambda out: None, ["--precision", "exact"], ["'exact'"]),
        (lambda out: None, ["--top", "0"], ["--top"]),
    ],
)
def test_wrong_use_is_one_line_and_status_2(zoo_folder, tmp_path, capsys, prepare, options, words) -> None:
    out = tmp_path / "out.zarr"
    prepare(out)
    assert main(["sweep", str(zoo_folder), "-o", str(out), *options]) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == "" and stderr.count("\n") == 1 and all(word in stderr for word in words)


def test_an_existing_result_needs_overwrite(zoo_folder, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    arguments = ["sweep", str(zoo_folder / "first"), str(zoo_folder / "far"), "-o", str(out)]
    assert main(arguments) == 0
    before = (out / "zarr.json").stat().st_mtime_ns
    assert main(arguments) == 2
    assert "--overwrite" in capsys.readouterr().err and (out / "zarr.json").stat().st_mtime_ns == before
    assert main([*arguments, "--overwrite"]) == 0
    assert (out / "zarr.json").stat().st_mtime_ns != before


def test_a_bad_adapter_stops_the_sweep_unless_it_is_skipped_and_named(zoo_folder, tmp_path, capsys) -> None:
    (zoo_folder / "near/adapter_model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    arguments = ["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr"), "--json"]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "near" in err
    assert not (tmp_path / "out.zarr").exists()
    assert main([*arguments, "--skip-bad"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert document["adapters"] == ["far", "first"]
    (skipped,) = document["skipped"]
    assert "near" in skipped["path"] and "near" in err
    assert xr.open_zarr(tmp_path / "out.zarr").attrs["skipped"] == [skipped["reason"]]


def test_adapters_that_share_no_module_are_warned_of_and_null(zoo_folder, tmp_path, capsys) -> None:
    config = zoo_folder.parent / "other"
    (zoo_folder / "far").rename(config)
    weights = config / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes().replace(b"model.h.", b"model.g."))
    assert main(["sweep", str(zoo_folder), str(config), "-o", str(tmp_path / "out.zarr"), "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert any("2 of 3 pairs of adapters share no module" in warning for warning in document["warnings"])
    assert "2 of 3 pairs" in err
    assert [row["used"] for row in document["ranking"]] == [6, 6, 0, 0, 0, 0]
    assert document["ranking"][-1]["rec"] is None and document["ranking"][-1]["rec_z"] is None


def test_ctrl_c_says_where_the_finished_part_is(zoo_folder, tmp_path, capsys, monkeypatch) -> None:
    compare, calls = taskvec.sweeps.run.compute, []

    def once(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compare(*arguments)

    monkeypatch.setattr(taskvec.sweeps.run, "compute", once)
    assert main(["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr"), "--json"]) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and str(tmp_path / "out.zarr") in err and "of 6 modules" in err
    assert xr.open_zarr(tmp_path / "out.zarr").attrs["complete"] is False


def test_metrics_p_and_backend_reach_the_sweep(zoo_folder, tmp_path) -> None:
    out = str(tmp_path / "out.zarr")
    options = ["--metrics", "rec,lp", "--p", "3", "--backend", "reference"]
    assert main(["sweep", str(zoo_folder), "-o", out, *options]) == 0
    with xr.open_zarr(out) as stored:
        assert {"rec", "lp"} < set(stored.data_vars) and "l1" not in stored
        assert stored.attrs["backend"] == "reference" and stored.attrs["p"] == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metrics", "l1"], ["needs the metric rec"]),
        (["--metrics", "rec,l3"], ["l3", "overlap_u"]),
        (["--metrics", "rec,lp"], ["p > 0"]),
        (["--backend", "abacus"], ["abacus", "can run: cpu"]),
        (["--backend", "cuda"], ["cuda", "cannot run"]),
        (["--device", "cuda:99"], ["cuda:99", "CUDA devices"]),
        (["--device", "abacus"], ["abacus", "cpu, cuda"]),
        (["--device", "meta"], ["meta", "cpu, cuda"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_for(zoo_folder, tmp_path, capsys, options, words) -> None:
    assert main(["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr"), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and all(word in err for word in words)
    assert not (tmp_path / "out.zarr").exists()
