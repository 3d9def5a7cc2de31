"""``taskvec sweep`` end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import xarray as xr

import taskvec.sweeps.baseline
import taskvec.sweeps.work
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
    assert document["schema"] == "taskvec.sweep/2"
    (result,) = document["results"]
    assert result["out"] == str(tmp_path / "out.zarr") and result["lambda"] == 0
    assert result["adapters"] == ["far", "first", "near"]
    assert result["modules"] == ["h.0.q", "h.0.v", "h.1.q", "h.1.v", "h.10.q", "h.10.v"]
    assert len(result["ranking"]) == 6 and (result["pairs"], result["left_out"]) == (3, 0)
    best, back = result["ranking"][:2]
    assert {best["source"], best["target"]} == {"first", "near"}
    assert (best["source"], best["captured_back"]) == (back["target"], back["captured"])
    assert best["rec"] > 0.95 and best["used"] == 6 and best["captured"] > 0.9 and best["excess"] > 1
    assert best["other_layers"]["captured"]["n"] == 2 and best["other_layers"]["captured"]["t"] is None
    assert result["ranking"][-1]["used"] == 4
    progress = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    finished = {line["progress"]: line["done"] for line in progress if line["done"] == line["total"]}
    assert finished["comparing pairs"] == 6 * 9 and finished["other layers"] == 3
    with xr.open_zarr(tmp_path / "out.zarr") as stored:
        pair = stored.sel(source=best["source"], target=best["target"])
        for name in ("rec", "captured"):
            assert float(pair[name].mean()) == pytest.approx(best["mean"][name], rel=1e-6)


def test_json_shows_what_the_table_shows(zoo_folder, tmp_path, capsys) -> None:
    """Whatever the options, one shape; both directions of the pairs at each end."""
    arguments = ["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr"), "--overwrite", "--json"]
    for options, pairs, lams in (
        (["--top", "1"], 2, 1),
        (["--top", "1", "--lambda", "0", "--lambda", "0.05"], 2, 2),
        (["--min-captured", "0.5", "--baseline", "none"], 1, 1),
        (["--max-q", "0.5", "--columns", "source,q", "--paper"], 0, 1),
        (["--metrics", "captured,rec"], 3, 1),
        (["--baseline", "all", "--lambda", "0.05", "--order", "rec", "--correction", "by"], 3, 1),
    ):
        assert main([*arguments, *options]) == 0
        document = json.loads(capsys.readouterr().out)
        jsonschema.validate(document, SCHEMA)
        assert [len(result["ranking"]) for result in document["results"]] == [2 * pairs] * lams
        assert [result["left_out"] for result in document["results"]] == [3 - pairs] * lams


def test_the_baseline_is_of_the_pairs_that_are_shown(zoo_folder, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    arguments = ["sweep", str(zoo_folder), "-o", str(out), "--overwrite"]
    for options, pairs in ((["--top", "1"], 4), (["--baseline", "all", "--top", "1"], 6), (["--baseline", "none"], 0)):
        assert main([*arguments, *options]) == 0
        assert xr.open_zarr(out).sizes.get("pair", 0) == pairs
        assert "far" in capsys.readouterr().out


def test_the_table_and_where_the_result_is(zoo_folder, tmp_path, capsys) -> None:
    assert main(["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr"), "--top", "1"]) == 0
    out, err = capsys.readouterr()
    assert "first" in out and "the other way" in out and "no σ₀" in out
    assert "1 pair between the 1 at each end left out" in out
    assert f"written to {tmp_path / 'out.zarr'}" in out
    assert err == ""


def test_one_adapter_alone_has_no_ranking(zoo_folder, tmp_path, capsys) -> None:
    arguments = ["sweep", str(zoo_folder / "first"), "-o", str(tmp_path / "out.zarr")]
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    assert document["results"][0]["ranking"] == []
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


def test_the_same_command_again_computes_nothing_and_other_options_need_overwrite(zoo_folder, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    arguments = ["sweep", str(zoo_folder / "first"), str(zoo_folder / "far"), "-o", str(out)]
    assert main(arguments) == 0
    chunk = out / "rec/c/0/0/0"
    before, printed = chunk.stat().st_mtime_ns, capsys.readouterr().out
    assert main(arguments) == 0
    assert capsys.readouterr().out == printed and chunk.stat().st_mtime_ns == before
    assert main([*arguments, "--precision", "medium"]) == 2
    assert "--overwrite" in capsys.readouterr().err and chunk.stat().st_mtime_ns == before
    assert main([*arguments, "--precision", "medium", "--overwrite"]) == 0
    assert chunk.stat().st_mtime_ns != before


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
    (result,) = document["results"]
    assert result["adapters"] == ["far", "first"]
    (skipped,) = result["skipped"]
    assert "near" in skipped["path"] and "near" in err
    assert xr.open_zarr(tmp_path / "out.zarr").attrs["skipped"] == skipped["reason"] + "\n"


def test_adapters_that_share_no_module_are_warned_of_and_counted(zoo_folder, tmp_path, capsys) -> None:
    config = zoo_folder.parent / "other"
    (zoo_folder / "far").rename(config)
    weights = config / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes().replace(b"model.h.", b"model.g."))
    assert main(["sweep", str(zoo_folder), str(config), "-o", str(tmp_path / "out.zarr"), "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    (result,) = document["results"]
    assert any("2 of 3 pairs of adapters share no module" in warning for warning in result["warnings"])
    assert "2 of 3 pairs" in err
    assert [row["used"] for row in result["ranking"]] == [6, 6] and result["left_out"] == 2


def test_ctrl_c_says_how_to_go_on(zoo_folder, tmp_path, capsys, monkeypatch) -> None:
    arguments = ["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr"), "--json"]

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(taskvec.sweeps.work, "compute", interrupted)
        assert main(arguments) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "0 of 1 blocks are in" in err and "with the same command" in err
    assert xr.open_zarr(tmp_path / "out.zarr").attrs["complete"] == 0
    assert main(arguments) == 0
    assert xr.open_zarr(tmp_path / "out.zarr").attrs["complete"] == 1


def test_ctrl_c_in_the_baseline_leaves_the_result(zoo_folder, tmp_path, capsys, monkeypatch) -> None:
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(taskvec.sweeps.baseline, "shifted_pairs", interrupted)
    assert main(["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr")]) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "out.zarr is whole but for other layers" in err
    assert main(["show", str(tmp_path / "out.zarr")]) == 0
    assert "far" in capsys.readouterr().out


def test_metrics_p_and_backend_reach_the_sweep(zoo_folder, tmp_path) -> None:
    out = str(tmp_path / "out.zarr")
    options = ["--metrics", "captured,rec,lp", "--p", "3", "--backend", "reference"]
    assert main(["sweep", str(zoo_folder), "-o", out, *options]) == 0
    with xr.open_zarr(out) as stored:
        assert {"rec", "lp"} < set(stored.data_vars) and "l1" not in stored
        assert stored.attrs["backend"] == "reference" and stored.attrs["p"] == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metrics", "l1"], ["needs captured and rec", "--metrics l1,captured,rec"]),
        (["--metrics", "captured,rec,l3"], ["l3", "overlap_u"]),
        (["--metrics", "captured,rec,lp"], ["p > 0"]),
        (["--order", "beauty"], ["'beauty'", "captured", "rec_z"]),
        (["--columns", "source,beauty"], ["'beauty'", "captured_back"]),
        (["--baseline", "some"], ["'some'", "top"]),
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
