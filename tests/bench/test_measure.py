"""A measurement in fresh processes: what has a row and what has none, what survives, and what is said of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import torch

from taskvec.reports.terminal import render
from taskvec_bench.cases import CASES
from taskvec_bench.cases.case import Case, Provider
from taskvec_bench.measure import command, machine, memory
from taskvec_bench.measure.printed import table
from taskvec_bench.measure.rows import COLUMNS, Row, Sample, append_csv, limits, read_csv, to_row, write_csv
from taskvec_bench.measure.run import Measurement, ProcessFailedError, Selection, samples

from .conftest import CODE, LIMIT

SCHEMA = json.loads((Path(__file__).parents[1] / "schemas/bench.json").read_text())
MACHINE = machine.described() | {"kernels": "0123456789ab"}
MIB = 2**20
DOUBLE = "double N=3"


def made_row(*samples: Sample, machine: dict[str, str] = MACHINE) -> Row:
    key = samples[0].case, samples[0].provider
    return to_row(key, {key: samples}, machine)


def test_one_process_compares_before_it_times_and_goes_on_after_each_failure(few_cases) -> None:
    found = {sample.provider: sample for sample in samples(Selection("double", seconds=0.001))}
    assert list(found) == ["torch/mm", *CASES[DOUBLE].providers]
    assert all(found[way].times and not found[way].refused for way in ("torch/mm", "ours/cpu", "torch/part", "other"))
    assert "at index" in found["wrong"].refused and not found["wrong"].times
    assert found["fails"].refused == "RuntimeError: out of luck"
    assert found["dies"].refused == "its process ended (SIGKILL)"
    assert found["absent"].left_out == "no_such_module" and not found["absent"].refused


def test_the_command_writes_rows_and_keeps_those_of_other_cases(few_cases, tmp_path, capsys) -> None:
    csv, old = tmp_path / "rows.csv", made_row(Sample(DOUBLE, "wrong", 1, [1.0]))
    write_csv(csv, [old | {"case": "another case"}, old])
    status = command.main(["--only", "double", "--processes", "2", "--seconds", "0.001", "--json", "--csv", str(csv)])
    out, err = capsys.readouterr()
    found = json.loads(out)
    jsonschema.validate(found, SCHEMA)
    assert status == 0 and found["stopped"] is None  # what is wrong is not ours
    ways = ["ours/cpu", "torch/part", "other"]
    assert [row["provider"] for row in found["rows"] if row["case"] == DOUBLE] == ways
    assert all(len(row["minima"].split()) == 2 and row["rounds"] >= 2 for row in found["rows"])
    assert {item["provider"] for item in found["refused"]} == {"wrong", "fails", "dies"}
    assert found["left_out"] == [{"package": "no_such_module", "providers": ["absent"]}]
    # the wrong one has no row any more
    assert [key for key in read_csv(csv) if key[0] == DOUBLE] == [(DOUBLE, way) for way in ways]
    assert ("another case", "wrong") in read_csv(csv)
    assert f"{DOUBLE}: wrong: refused" in err and "no_such_module is missing: absent" in err


def test_a_wrong_kernel_of_ours_is_status_1_and_the_table_has_the_others(few_cases, monkeypatch, capsys) -> None:
    few_cases.write_text(
        few_cases.read_text().replace("ours_cpu=Provider(lambda x: 2 * x)", "ours_cpu=Provider(fails)")
    )
    arguments = ["--only", "double", "--processes", "1", "--seconds", "0", "--no-memory"]
    assert command.main(arguments) == 1
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    at = lines.index(DOUBLE.split())
    assert {line[0] for line in lines[at + 1 : at + 3]} == {"torch/part", "other*"} and "ours/cpu" not in out
    assert "* other: x + 1" in out and "no row: double N=3: ours/cpu: RuntimeError: out of luck" in err


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_fits(width) -> None:
    name = "pairwise gpt2-c_attn modules=12 N=8 m=2304 n=768 r=8"
    ways = ("ours/cpu", "torch/panels", "torch/loop")
    rows = [made_row(Sample(name, way, 1, [0.0123456 * (i + 1)])) for i, way in enumerate(ways)]
    text = render([table(rows)], width)
    assert max(map(len, text.splitlines())) <= width
    assert all(number in text for number in ("12.35", "24.69", "37.04")) and "(min)" in text
    assert all(word in text.split() for word in " ".join((name, *ways)).split())
    assert ("No room for" in text) == (width == 60)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_rows_survive_however_it_ends(few_cases, tmp_path, number) -> None:
    csv, script = tmp_path / "rows.csv", tmp_path / "bench.py"
    script.write_text(
        f"{CODE}\nfrom pathlib import Path\nfrom taskvec_bench.measure import command, run\n"
        f"run.HARNESS = Path({str(few_cases)!r})\n"
        f"raise SystemExit(command.main(['--only', 'after', '--no-memory', '--csv', {str(csv)!r}]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.PIPE,
        text=True,
        # as in the background of a shell, where Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        deadline = time.monotonic() + 120
        while not csv.exists() or "after N=3" not in csv.read_text():  # then comes what sleeps
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert set(read_csv(csv)) == {(LIMIT, "torch/mm"), ("after N=3", "ours/cpu")}
    if number != signal.SIGKILL:
        assert process.returncode == 130 and said.endswith("interrupted; 2 rows are kept\n")


def test_signals_are_handled_as_before_when_it_ends(few_cases, capsys) -> None:
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        assert command.main(["--only", "double", "--processes", "1", "--no-memory"]) == 0
        assert [signal.getsignal(number) for number in numbers] == [signal.SIG_IGN] * 2
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_a_harness_that_does_not_run_says_why(few_cases) -> None:
    few_cases.write_text("import no_such_thing\n")
    with pytest.raises(ProcessFailedError):
        list(samples(Selection("double")))
    found = Measurement(Selection("double"), MACHINE, {}, say=lambda line: None)
    found.run(1, with_memory=False)
    assert found.stopped.startswith("a measuring process failed: ") and not found.rows()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "("], "--only ( is not a regular expression"),
        (["--only", "no such"], "matches no case; --list"),
        (["--seconds", "nan"], "--seconds nan, expected"),
        (["--processes", "0"], "--processes 0"),
        (["--no-such"], "unrecognized arguments: --no-such; see --help"),
        (["--csv", "FILE/rows.csv"], "cannot take rows"),
        (["--csv", "other.csv"], "no column case; name another"),
        (["--csv", "bad.csv"], "cannot take rows"),
        (["--csv", "folder.csv"], "cannot take rows"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_before_anything_is_measured(tmp_path, monkeypatch, capsys, options, words) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "measured", lambda options: pytest.fail("measured"))
    Path("FILE").write_text("mine")
    Path("other.csv").write_text("a,b\n1,2\n")
    Path("bad.csv").write_bytes(b"case\n\xff\n")
    Path("folder.csv").mkdir()
    assert command.main(options) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("taskvec bench: ") and words in err


# rows


def test_a_row_is_of_all_processes_and_its_shares_are_of_what_torch_does() -> None:
    name, copying = "pairwise square-4096 modules=1 N=256 m=4096 n=4096 r=8", "limit copy n=67108864"
    key, other = (name, "ours/cpu"), (name, "torch/loop")
    found = {
        (LIMIT, "torch/mm"): [Sample(LIMIT, "torch/mm", 2, [1.5, 1.0])],
        (copying, "torch/copy"): [Sample(copying, "torch/copy", 2, [0.1])],
        key: [Sample(*key, 2, [0.3, 0.2]), Sample(*key, 2, [0.1, 0.6, 0.4])],
        other: [Sample(*other, 1, [0.1])],
    }
    rates = {("float32", 2): CASES[LIMIT].flop, ("copy", 2): CASES[copying].bytes / 0.1}
    assert limits(found) == rates
    row = to_row(key, found, MACHINE)
    assert set(row) == set(COLUMNS) and (row["case"], row["N"], row["kernels"]) == (name, 256, MACHINE["kernels"])
    assert (row["min"], row["median"], row["minima"], row["rounds"]) == (0.1, 0.3, "0.2 0.1", 5)
    assert (row["q20"], row["q80"]) == (pytest.approx(0.18), pytest.approx(0.44))
    matmul, copied = CASES[name].flop / rates["float32", 2] / 0.1, CASES[name].bytes / rates["copy", 2] / 0.1
    assert (row["share_of_matmul"], row["share_of_copy"]) == pytest.approx((matmul, copied))
    assert row["share_of_limit"] == max(matmul, copied)
    assert to_row(other, found, MACHINE)["share_of_limit"] is None  # other threads


def test_csv_round_trip_and_a_later_row_is_in_the_place_of_an_earlier_one(tmp_path) -> None:
    path, row = tmp_path / "rows.csv", made_row(Sample(LIMIT, "torch/mm", 2, [1 / 3]))
    odd = row | {"case": "π, “quoted”\nname", "computes": 'a "b", c', "modules": None, "peak_memory": 12.5}
    append_csv(path, row)
    append_csv(path, odd)
    append_csv(path, row | {"min": 0.25})
    found = read_csv(path)
    assert [one["min"] for one in found.values()] == [0.25, pytest.approx(1 / 3, rel=1e-5)]
    for name, value in odd.items():
        assert found[odd["case"], "torch/mm"][name] == (
            pytest.approx(value, rel=1e-5) if type(value) is float else value
        )
    write_csv(path, found.values())
    assert read_csv(path) == found and [file.name for file in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_of_a_row_and_new_rows_are_no_change_of_the_code(tmp_path, monkeypatch) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    assert machine.commit(tmp_path) == ""  # not a checkout
    code, rows = tmp_path / "csrc/kernel.cpp", tmp_path / "benchmarks/data/machine.csv"
    for path in (code, rows):
        path.parent.mkdir(parents=True)
        path.write_text("1")
    for step in (["init"], ["add", "."], ["commit", "-m", "one"]):
        git(*step)
    head = machine.commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{7,40}", head)
    rows.write_text("2")
    assert machine.commit(tmp_path) == head
    code.write_text("2")
    assert machine.commit(tmp_path) == f"{head}-dirty"
    monkeypatch.setenv("PATH", "")
    assert machine.commit(tmp_path) == ""  # without git nothing else is lost


# memory


def made(name: str, **also) -> Case:
    fields = {"flop": 1, "bytes": 1, "inputs": lambda: torch.ones(1), "truth": None, "agrees": None, "shape": {}}
    return Case(name, **fields | {"providers": {"ours/cpu": Provider(torch.clone)}} | also)


def test_memory_is_of_the_largest_case_of_a_kind_and_of_whole_work(monkeypatch) -> None:
    ways = {
        way: Provider(torch.clone, part=0.5 if way == "part" else 1) for way in ("ours/cpu", "part", "torch/compile")
    }
    for size, threads in ((1, None), (9, None), (10, 1)):
        case = made("f", providers=ways, shape={"N": size}, bytes=size, threads=threads)
        monkeypatch.setitem(CASES, case.name, case)
    keys = [(name, way) for name in CASES if name.startswith("f ") for way in ways]
    assert memory.worth_measuring(keys) == [("f N=9", "ours/cpu")]


@pytest.mark.skipif(not memory.start_counting(), reason="the system does not reset a process's peak")
def test_a_peak_counts_what_is_freed_and_the_result_and_not_the_inputs(monkeypatch) -> None:
    size = 16 * MIB  # numbers: 64 MiB
    way = {"a": Provider(lambda x: (x + 1)[: MIB // 8] * 2)}
    large = made("f", shape={"N": 2}, bytes=4 * size, inputs=lambda: torch.ones(size), providers=way)
    small = made("f", shape={"N": 1}, inputs=lambda: torch.ones(MIB), providers=way)
    for case in (small, large):
        monkeypatch.setitem(CASES, case.name, case)
    assert memory.peak(large, "a") == pytest.approx(64.5, abs=4)


@pytest.mark.skipif(not memory.start_counting(), reason="the system does not reset a process's peak")
def test_a_fresh_process_answers_or_there_is_no_peak() -> None:
    name = "sparsify exact N=400000 r=64"
    output = 4 * 400_000 * 64 / MIB
    assert output < memory.peak_of(name, "ours/cpu") + 1 < output + 72  # as tests/kernels/test_memory.py allows
    assert memory.peak_of(name, "no such provider") is None
