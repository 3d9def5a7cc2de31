"""Two versions in turn: what a ratio says, and that each process holds the version it is said to hold."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import taskvec_kernels
from taskvec_bench import compare, turns
from taskvec_bench.ratios import Ratio, geometric_mean, paired
from taskvec_bench.turns import LeftOut, Outcome, Trees
from taskvec_bench.version import CompareError, Version

ROOT = Path(taskvec_kernels.__file__).parents[1]

# what an older version may be: without a function, wrong, deadly, slow
DEFECTS = """
import os, time
_project, _compare_spectra = project, compare_spectra
del sparsify
def lowrank_svd(*a, **k):
    os.kill(os.getpid(), 9)
def project(*a, **k):
    print("noise on standard output")
    return _project(*a, **k) + 1
def compare_spectra(*a, **k):
    time.sleep(0.02)
    return _compare_spectra(*a, **k)
"""


def times(*, factor: float, noise: float, drift: float = 0.0, rounds: int = 30) -> tuple[list[float], list[float]]:
    """Of today and of the other, in the order ABBA: today ``factor`` times slower, the machine slowing by ``drift``."""
    chance = random.Random(0)
    both: tuple[list[float], list[float]] = ([], [])
    for turn in range(2 * rounds):
        which = (0, 1, 1, 0)[turn % 4]
        slowed = (1 + drift * turn / rounds) * chance.lognormvariate(0, noise)
        both[which].append((factor if which == 0 else 1) * slowed)
    return both


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        ({"factor": 1.0, "noise": 0.02}, "same"),
        ({"factor": 1.0, "noise": 0.3}, "same"),
        ({"factor": 1.1, "noise": 0.02}, "slower"),
        ({"factor": 0.9, "noise": 0.02}, "faster"),
        ({"factor": 1.02, "noise": 0.001}, "same"),
        ({"factor": 1.0, "noise": 0.01, "drift": 5.0}, "same"),
        ({"factor": 1.1, "noise": 0.01, "drift": 1.0}, "slower"),
    ],
)
def test_a_verdict_needs_most_rounds(made: dict[str, float], verdict: str) -> None:
    assert paired(*times(**made)).verdict == verdict


def test_a_ratio_is_todays_time_over_the_others() -> None:
    assert paired([2, 4, 6, 8, 10], [2, 2, 2, 2, 2]) == Ratio(3, pytest.approx(1.8), pytest.approx(4.2), 5)
    assert geometric_mean([0.5, 2.0, 8.0]) == pytest.approx(2)
    with pytest.raises(ValueError):
        paired([1, 2], [1])


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("other")
    ignored = shutil.ignore_patterns("__pycache__", "triton")
    shutil.copytree(ROOT / "taskvec_kernels", tree / "taskvec_kernels", ignore=ignored)
    with (tree / "taskvec_kernels" / "__init__.py").open("a") as file:
        file.write(DEFECTS)
    return tree


def test_each_process_has_its_own_kernels(
    other: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SITTINGS", 1)
    only = "^lowrank_svd minilm-query N=1 m=384 n=384 r=8|^project minilm-query N=2 |^(compare|sparsify exact).* N=4 "
    options = compare.parser().parse_args(["--only", only, "--rounds", "18", "--json"])
    assert compare.run(compare.chosen(options), Trees(ROOT, other, "old"), options) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert f"old      {other}/taskvec_kernels/__init__.py" in err and f"today    {ROOT}/taskvec_kernels" in err
    [result] = said["results"]
    assert (result["case"], result["provider"]) == ("compare_spectra N=4 r=8", "ours/cpu")
    # only the other one sleeps, a thousand times as long as a call takes
    assert result["verdict"] == "faster" and result["other"] > 0.02 and result["ratio"]["rounds"] == 18
    left_out = {each["case"].split()[0]: (each["version"], each["why"]) for each in said["left_out"]}
    assert left_out["lowrank_svd"] == ("old", "its process ended (SIGKILL)")
    version, why = left_out["project"]
    assert version == "old" and why.startswith("wrong: d[") and "the reference says" in why
    assert left_out["sparsify"] == ("old", "AttributeError: module 'taskvec_kernels' has no attribute 'sparsify'")


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (None, r"old imports \S*, expected a file of {tree}/taskvec_kernels$"),
        # an editable install fills the gaps
        (
            "",
            r"old (imports \S*, expected a file of {tree}/taskvec_kernels|cannot run today's cases: ImportError: .*)$",
        ),
        ("raise OSError('no such CPU')", r"old cannot run today's cases: OSError: no such CPU$"),
    ],
)
def test_other_kernels_than_claimed_are_refused(package: str | None, message: str, tmp_path: Path) -> None:
    if package is not None:
        (tmp_path / "taskvec_kernels").mkdir()
        (tmp_path / "taskvec_kernels" / "__init__.py").write_text(package)
    version = Version("old", tmp_path)
    try:
        with pytest.raises(CompareError, match=message.format(tree=tmp_path)):
            version.wait()
    finally:
        version.close()
        version.errors.close()


def test_one_tree_for_both_is_refused() -> None:
    refused = pytest.raises(CompareError, match=f"^today and old are both {ROOT}$")
    with refused, Trees(ROOT, ROOT / "tests" / "..", "old").processes():
        pass


def test_ctrl_c_keeps_what_is_done_and_no_process(
    other: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ctrl_c: Callable[[], None],
) -> None:
    seen: list[Version] = []

    def interrupted(name: str, pair: turns.Pair, rounds: int) -> turns.Times:
        seen.extend(pair)
        if len(seen) > 2:  # the second case
            ctrl_c()
        return [1.0, 2.0], [1.0, 2.0]

    monkeypatch.setattr(turns, "SITTINGS", 1)
    monkeypatch.setattr(turns, "sitting", interrupted)
    options = compare.parser().parse_args(["--only", "^(sparsify exact|compare_spectra) N=4 "])
    assert compare.run(compare.chosen(options), Trees(ROOT, other, "old"), options) == 130
    out, err = capsys.readouterr()
    assert "1 same" in out and "sparsify" not in out and err.endswith("bench-compare: interrupted\n")
    assert [version.process.returncode for version in seen] == [-signal.SIGKILL] * 4


def outcome(ratio: float) -> Outcome:
    return Outcome("a case", "ours/cpu", Ratio(ratio, ratio - 0.01, ratio + 0.01, 30), 1e-3 * ratio, 1e-3)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[Outcome | LeftOut]:
    """What a run without processes finds."""
    results: list[Outcome | LeftOut] = []

    @contextmanager
    def none(trees: Trees) -> Iterator[Sequence[Any]]:
        yield [SimpleNamespace(name=name, package=name) for name in ("today", "old")]

    monkeypatch.setattr(Trees, "processes", none)
    monkeypatch.setattr(compare, "compared", lambda *_: iter(results))
    return results


def run(*arguments: str) -> int:
    case: Any = "the only one"
    return compare.run([case], Trees(ROOT, ROOT, "old"), compare.parser().parse_args(arguments))


@pytest.mark.parametrize(("above", "status"), [("1.2", 0), ("1.05", 1), ("1.095", 0)])
def test_fail_above_asks_the_whole_interval(made_up: list[Outcome | LeftOut], above: str, status: int) -> None:
    made_up += [outcome(0.5), outcome(1.1), LeftOut("another", "ours/cpu", "old", "not there")]
    assert run("--fail-above", above) == status
    assert run() == 0


def test_the_table_and_its_summary(made_up: list[Outcome | LeftOut], capsys: pytest.CaptureFixture[str]) -> None:
    made_up += [outcome(0.5), outcome(2.0), LeftOut("another", "ours/cpu", "old", "not there")]
    run()
    head, faster, slower, left_out, summary = capsys.readouterr().out.splitlines()
    assert head.split() == ["today/old", "20–80", "%", "verdict", "old", "today", "case,", "provider"]
    assert faster.split() == ["0.500", "0.490–0.510", "faster", "1", "ms", "500", "µs", "a", "case,", "ours/cpu"]
    assert slower.split()[:3] == ["2.000", "1.990–2.010", "slower"]
    assert left_out.endswith("left out: another, ours/cpu: old: not there")
    assert summary == "1 faster, 0 same, 1 slower; geometric mean 1.000, worst 2.000: a case, ours/cpu"


def test_nothing_done_is_not_an_error(made_up: list[Outcome | LeftOut], capsys: pytest.CaptureFixture[str]) -> None:
    made_up += [LeftOut("another", "ours/cpu", "old", "not there")]
    assert run() == 0 and run("--json") == 0
    assert '"geometric_mean": null' in capsys.readouterr().out


def test_turns_are_a_b_b_a_as_time_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Fake:
        def __init__(self, name: str, seconds: float) -> None:
            self.name, self.seconds = name, seconds

        def ask(self, do: str, **request: Any) -> dict[str, float]:
            if do == "time":
                asked.append(f"{self.name}{request['calls']}")
            return {"seconds": self.seconds}

    def sitting(today: float, other: float, rounds: int) -> turns.Times:
        asked.clear()
        pair: Any = (Fake("A", today), Fake("B", other))
        return turns.sitting("ours/cpu", pair, rounds)

    monkeypatch.setattr(turns, "PAUSE", 0)
    assert sitting(5e-3, 1e-2, 12) == ([5e-3] * 4, [1e-2] * 4)
    assert asked == ["A2", "B2", "B2", "A2"] * 2  # as many calls of both
    assert len(sitting(0.2, 0.2, 30)[0]) == 9  # of three sittings, ten seconds of calls together
    assert len(sitting(100.0, 100.0, 30)[0]) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "3"], "--rounds 3: at least 18 are needed"),
        (["--rounds", "many"], "argument --rounds: invalid int value: 'many'; see --help"),
        (["--only", "("], "--only (: not a regular expression: missing ), unterminated subpattern at position 0"),
        (["--only", "no such case"], "--only no such case: matches none of these cases, 0 with --all"),
        (["--quick", "--all"], "argument --all: not allowed with argument --quick; see --help"),
        (["--ref", "no-such"], f"no revision 'no-such' in {ROOT}; git log shows what there is"),
        (["--ref", "--all"], "argument --ref: expected one argument; see --help"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "no-such" in arguments and not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    assert compare.main(arguments) == 2
    assert capsys.readouterr() == ("", f"bench-compare: {message}\n")


def test_cases_are_chosen_by_size() -> None:
    quick, usual, every = ({c.name for c in chosen(*arguments)} for arguments in (["--quick"], [], ["--all"]))
    assert quick < usual < every
    assert not any(name.startswith("limit") for name in every)
    assert not any("peers" in name or "real adapters" in name for name in every)  # their inputs are not tensors alone


def chosen(*arguments: str) -> list[Any]:
    return compare.chosen(compare.parser().parse_args(arguments))
