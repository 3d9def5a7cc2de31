"""One provider of one case: compared before it is timed, and refused where it is wrong."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from taskvec_bench import harness, processes
from taskvec_bench.agreement import close
from taskvec_bench.case import Case, DisagreementError, Provider
from taskvec_bench.registry import CASES, selected
from taskvec_bench.rows import LIMIT, Sample

SECONDS = 2.0  # of every round, says the stopwatch


class Stopwatch:
    """In the place of pytest-benchmark's fixture."""

    def __init__(self) -> None:
        self.stats: Any = None

    def pedantic(self, run: Any, arguments: tuple[Any, ...], *, rounds: int) -> None:
        for _ in range(rounds):
            run(*arguments)
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=[SECONDS] * rounds))


def fails(x: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("out of luck")


CASE = Case(
    function="double",
    shape={"N": 3},
    flop=3,
    bytes=24,
    inputs=lambda: torch.arange(3.0),
    truth=lambda x: 2 * x.double(),
    agrees=lambda value, true: close("x", value, true),
    providers={
        "ours/cpu": Provider(lambda x: 2 * x),
        "part": Provider(lambda x: 2 * x, part=0.25),
        "wrong": Provider(lambda x: x + 1),
        "other": Provider(lambda x: x + 1, computes="x + 1", truth=lambda x: x + 1),
        "fails": Provider(fails),
        "absent": Provider(lambda x: 2 * x, needs=("no_such_module.part",)),
    },
    threads=1,
)


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """``measured(provider)``: the sample, and what the test said (None if it passed)."""
    monkeypatch.setitem(CASES, CASE.name, CASE)
    options = SimpleNamespace(rows=str(tmp_path / "rows"), seconds=0.001)
    request = SimpleNamespace(config=SimpleNamespace(option=options))

    def measure(provider: str) -> tuple[Sample, str | None]:
        said = None
        try:
            harness.test_case(CASE.name, provider, Stopwatch(), request)
        except (pytest.fail.Exception, pytest.skip.Exception, RuntimeError) as outcome:
            said = str(outcome)
        (line,) = (tmp_path / "rows").read_text().splitlines()
        return Sample(**json.loads(line)), said

    return measure


def test_a_right_result_is_timed(measured) -> None:
    found, said = measured("ours/cpu")
    assert said is None and (found.case, found.provider, found.refused) == ("double N=3 threads=1", "ours/cpu", "")
    assert set(found.times) == {SECONDS} and 1 <= len(found.times) <= harness.MOST_ROUNDS
    expected = {"function": "double", "N": 3, "m": None, "flop": 3, "bytes": 24, "threads": 1, "part": 1}
    assert expected.items() <= found.columns.items()


def test_the_time_of_a_part_is_scaled_to_the_whole(measured) -> None:
    found, _ = measured("part")
    assert set(found.times) == {SECONDS / 0.25} and found.columns["part"] == 0.25


def test_a_wrong_result_is_refused_and_says_which(measured) -> None:
    found, said = measured("wrong")
    assert not found.times and found.refused == "x[0] is 1, the reference says 0"
    assert said == f"wrong is refused: {found.refused}"


def test_a_provider_of_something_else_has_its_own_reference(measured) -> None:
    found, said = measured("other")
    assert said is None and found.times and found.columns["computes"] == "x + 1"


def test_a_provider_that_fails_is_refused_too(measured) -> None:
    found, said = measured("fails")
    assert not found.times and found.refused == "RuntimeError: out of luck" and said == "out of luck"


def test_what_is_not_installed_is_left_out_by_name(measured) -> None:
    found, said = measured("absent")
    assert not found.times and found.left_out == "no_such_module.part" and "not installed" in (said or "")


def test_threads_are_those_of_the_case_and_then_as_before() -> None:
    before = torch.get_num_threads()
    with harness.threads(CASE) as count:
        assert count == torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1.0, 2.1], r"x\[1\] is 2.0999\d*, the reference says 2"),
        ([1.0, float("nan")], r"x\[1\] is nan"),
        ([1.0], r"shape \(1,\), the reference \(2,\)"),
    ],
)
def test_disagreement_says_where(value, words) -> None:
    with pytest.raises(DisagreementError, match=words):
        close("x", torch.tensor(value), torch.tensor([1.0, 2.0], dtype=torch.float64))


def test_nan_agrees_with_nan_alone() -> None:
    nan = torch.tensor([float("nan")])
    close("x", nan, nan)
    with pytest.raises(DisagreementError):
        close("x", torch.zeros(1), nan)


def test_every_case_has_ours_limits_are_always_there_and_a_name_selects() -> None:
    assert all("ours/cpu" in case.providers for case in CASES.values() if case.function != LIMIT)
    assert {case.function for case in selected("no such case")} == {LIMIT}
    (one,) = [case for case in selected(r"compare_spectra N=4 ") if case.function != LIMIT]
    assert one.name == "compare_spectra N=4 r=8"
    assert all(case.quick for case in selected(quick=True))


def test_a_case_that_is_not_in_the_registry() -> None:
    with pytest.raises(KeyError, match="no such case"):
        harness.test_case("no such case", "ours/cpu", Stopwatch(), SimpleNamespace(config=SimpleNamespace(option=None)))


def test_a_process_gives_its_samples_and_ends(replaced_harness) -> None:
    line = json.dumps({"case": "a", "provider": "x", "times": [1.0], "columns": {}})
    replaced_harness(
        f"""
def test_case(request):
    with open(request.config.option.rows, "a") as out:
        print({line!r}, file=out)
    assert False, "refused"
"""
    )
    assert [found.case for found in processes.samples()] == ["a"]


def test_a_process_ends_when_nobody_listens(replaced_harness, tmp_path) -> None:
    line = json.dumps({"case": "a", "provider": "x", "times": [], "columns": {}})
    replaced_harness(
        f"""
import os, pathlib, time
def test_case(request):
    pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
    with open(request.config.option.rows, "a") as out:
        print({line!r}, file=out)
    time.sleep(60)
"""
    )
    found = processes.samples()
    next(found)
    found.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_process_that_fails_says_why(replaced_harness) -> None:
    replaced_harness("import no_such_module\n")
    with pytest.raises(processes.ProcessFailedError, match="no_such_module"):
        list(processes.samples())
