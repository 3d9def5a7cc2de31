"""``taskvec bench``: what goes to which stream and into which file, and how it ends."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from taskvec.cli import main
from taskvec_bench import memory, processes
from taskvec_bench.machine import described, machine_name
from taskvec_bench.rows import Sample, read_csv, to_rows, write_csv

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/bench.json").read_text())
NAME = "compare_spectra N=4 r=8"
BENCH = ["bench", "--only", NAME, "--processes", "1"]


def document(text: str) -> Any:
    found = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    jsonschema.validate(found, SCHEMA)
    return found


@pytest.fixture
def given(monkeypatch, limit_samples, ctrl_c):
    """``given(sample, …)``: what the one process gives, after the limits; None is Ctrl-C."""

    def give(*items: Sample | None) -> None:
        def samples(*_: object, **__: object) -> Iterator[Sample]:
            for item in [*limit_samples, *items]:
                if item is None:
                    ctrl_c()
                else:
                    yield item

        monkeypatch.setattr(processes, "samples", samples)

    return give


def test_a_measurement_in_fresh_processes(replaced_harness, tmp_path, capfd) -> None:
    replaced_harness()
    assert main([*BENCH, "--seconds", "0", "--memory", "--json", "--csv", str(tmp_path), "--progress", "json"]) == 0
    out, err = capfd.readouterr()
    found = document(out)
    assert found["machine"]["name"] == machine_name() and not found["stopped"]
    assert set(found["limits"]["1"]) == {"float32", "float64", "copy"}
    rows = [row for row in found["rows"] if row["case"] == NAME]
    assert [row["provider"] for row in rows] == ["ours/cpu", "torch/tensors"]
    can_reset = memory.start_counting()
    assert all((row["peak_memory"] is not None) == can_reset and row["share_of_copy"] > 0 for row in rows)
    steps = [json.loads(line) for line in err.splitlines()]
    last = {step["progress"]: (step["done"], step["total"]) for step in steps}
    assert last == {"measuring": (8, 8), "measuring memory": (2, 2)}
    stored = read_csv(tmp_path / f"{machine_name()}.csv")
    assert [(row.case, row.provider) for row in stored] == [(row["case"], row["provider"]) for row in found["rows"]]


def test_the_table(given, sample, capfd) -> None:
    fast = sample(NAME, "ours/cpu", 0.002, 0.004, flop=0, bytes=1e7)
    slow = sample(NAME, "torch/tensors", 0.5, flop=4e9, bytes=1e7, computes="twice as much")
    given(slow, fast)
    assert main([*BENCH, "--no-memory"]) == 0
    out, err = capfd.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert err == "" and "2 threads, SIMD level" in out
    assert "limits by torch, 2 threads: 100 GFLOP/s fp32, 50 GFLOP/s fp64, 10 GB/s copied" in out
    at = lines.index(NAME.split())
    assert lines[at + 1] == ["ours/cpu", "2.000", "3.000", "1.00", "0.500", "copy", "-"]
    assert lines[at + 2] == ["torch/tensors*", "500", "500", "250.00", "0.080", "matmul", "-"]
    assert "* torch/tensors: twice as much" in out


def test_wrong_results_are_named_and_ours_is_status_1(given, sample, tmp_path, capfd) -> None:
    given(sample(NAME, "ours/cpu", 1), sample(NAME, "torch/tensors", refused="l1[0] is 1"))
    assert main([*BENCH, "--no-memory"]) == 0
    assert capfd.readouterr().err == f"taskvec: warning: {NAME}: torch/tensors is refused: l1[0] is 1\n"
    given(sample(NAME, "ours/cpu", refused="l1[0] is 1"), sample(NAME, "torch/tensors", 1))
    assert main([*BENCH, "--json", "--csv", str(tmp_path / "a.csv"), "--no-memory"]) == 1
    assert document(capfd.readouterr().out)["refused"][0]["provider"] == "ours/cpu"
    assert "ours/cpu" not in [row.provider for row in read_csv(tmp_path / "a.csv")]


def test_what_is_not_installed_is_named_with_the_cure(given, sample, capfd) -> None:
    given(sample(NAME, "ours/cpu", 1), sample(NAME, "torch/tensors", left_out="vlora"))
    assert main([*BENCH, "--no-memory", "--json"]) == 0
    out, err = capfd.readouterr()
    assert err.count("\n") == 1 and "torch/tensors" in err and err.endswith("pip install vlora-dev\n")
    assert document(out)["left_out"] == [{"package": "vlora-dev", "providers": ["torch/tensors"]}]


def test_ctrl_c_keeps_the_rows_and_the_file_what_it_had(given, sample, tmp_path, capfd) -> None:
    path = tmp_path / "rows.csv"
    write_csv(path, to_rows([sample(NAME, "gone", 1), sample("another case", "ours/cpu", 1)], described()))
    given(sample(NAME, "ours/cpu", 1), sample(NAME, "torch/tensors", 1), None)
    assert main([*BENCH, "--json", "--csv", str(path), "--no-memory", "--processes", "2"]) == 130
    out, err = capfd.readouterr()
    assert err == "taskvec: interrupted; the rows rest on 1 of 2 processes\n"
    found = document(out)
    assert [row["provider"] for row in found["rows"] if row["case"] == NAME] == ["ours/cpu", "torch/tensors"]
    kept = {(row.case, row.provider) for row in read_csv(path)}
    assert {("another case", "ours/cpu"), (NAME, "torch/tensors")} < kept and (NAME, "gone") not in kept


def test_ctrl_c_before_anything_is_done_writes_nothing(given, ctrl_c, tmp_path, monkeypatch, capfd) -> None:
    given()
    monkeypatch.setattr(processes, "samples", lambda *_, **__: (ctrl_c() for _ in "x"))
    assert main([*BENCH, "--csv", str(tmp_path / "a.csv")]) == 130
    assert capfd.readouterr().err == "taskvec: interrupted; no case was done\n" and not list(tmp_path.iterdir())


def test_list_names_the_cases(capfd) -> None:
    assert main(["bench", "--list", "--quick"]) == 0
    quick = capfd.readouterr().out.splitlines()
    assert main(["bench", "--list", "--only", "^compare_spectra N=4 "]) == 0
    assert capfd.readouterr().out == f"{NAME}\n"
    assert "limit" not in " ".join(quick) and NAME not in quick and len(quick) > 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "("], ["regular expression", "got ("]),
        (["--only", "no such"], ["no case", "got no such", "taskvec bench --list"]),
        (["--only", NAME, "--quick"], ["no case of the quick run", "--list"]),
        (["--seconds", "nan"], ["--seconds", "nan", "0 to 60"]),
        (["--seconds", "-1"], ["--seconds", "-1"]),
        (["--processes", "0"], ["--processes"]),
        (["--csv", "FILE/rows.csv"], ["cannot be written", "FILE"]),
        (["--csv", "FILE"], ["cannot be written", "FILE"]),
        (["--csv", "other.csv"], ["other.csv: not a file of rows: no column case", "move it"]),
        (["--csv", "bad.csv"], ["bad.csv: not a file of rows"]),
        (["--csv", "folder.csv"], ["folder.csv", "cannot be written"]),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_before_anything_is_measured(tmp_path, monkeypatch, capfd, options, words) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes, "samples", lambda *_, **__: pytest.fail("measured"))
    Path("FILE").write_text("mine")
    Path("other.csv").write_text("a,b\n1,2\n")
    Path("bad.csv").write_bytes(b"case\n\xff\n")
    Path("folder.csv").mkdir()
    assert main(["bench", *options]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and all(word in err for word in words)
    assert Path("FILE").read_text() == "mine"


@pytest.mark.parametrize("absent", ["pytest", "pytest_benchmark"])
def test_what_it_needs_is_named_with_the_cure(monkeypatch, capfd, absent) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("taskvec.cli.bench.find_spec", lambda name: None if name == absent else find(name))
    assert main([*BENCH]) == 2
    package = absent.replace("_", "-")
    assert capfd.readouterr().err == f"taskvec: {package} is not installed; pip install {package}\n"


def test_without_a_checkout_it_says_how_to_get_one(monkeypatch, capfd) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("taskvec.cli.bench.find_spec", lambda name: None if name == "taskvec_bench" else find(name))
    assert main([*BENCH]) == 2
    expected = "taskvec: the benchmarks are part of no package; clone the project and run `make bench-quick` there\n"
    assert capfd.readouterr().err == expected
