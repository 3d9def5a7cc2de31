"""Two revisions in turn: a planted slowdown is found, and each process holds the kernels it is said to hold."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

import taskvec_kernels
from taskvec_bench import compare
from taskvec_bench.measure.run import Selection

ROOT = Path(taskvec_kernels.__file__).parents[1]

# what an older version may be: wrong, or fast: today's is slower
DEFECTS = """
import time
_compare_spectra, _project = compare_spectra, project
def compare_spectra(*a, **k):
    time.sleep(0.02)
    return _compare_spectra(*a, **k)
def project(*a, **k):
    return _project(*a, **k) + 1
"""


def ratios(factor: float, noise: float, drift: float = 0.0) -> list[float]:
    """Of ten pairs, A B B A: today ``factor`` times slower, the machine slowing by ``drift``."""
    chance = random.Random(0)
    times = [(1 + drift * turn / 10) * chance.lognormvariate(0, noise) for turn in range(20)]
    a_first = [turn % 4 in (0, 3) for turn in range(0, 20)]
    today, other = ([t for t, a in zip(times, a_first, strict=True) if a is which] for which in (True, False))
    return [factor * a / b for a, b in zip(today, other, strict=True)]


@pytest.mark.parametrize(
    ("made", "verdict"),
    [((1, 0.01), "same"), ((1, 0.3), "same"), ((1.1, 0.02), "slower"), ((0.9, 0.02), "faster"), ((1.02, 0.001), "same"),
     ((1, 0.01, 0.2), "same"), ((1.2, 0.01, 0.5), "slower")],
)  # fmt: skip
def test_a_verdict_needs_most_pairs(made, verdict) -> None:
    assert compare.verdict(ratios(*made)) == verdict


def test_a_planted_slowdown_is_found_and_what_is_wrong_is_left_out(tmp_path, capsys) -> None:
    shutil.copytree(
        ROOT / "taskvec_kernels", tmp_path / "taskvec_kernels", ignore=shutil.ignore_patterns("__pycache__")
    )
    with (tmp_path / "taskvec_kernels" / "__init__.py").open("a") as file:
        file.write(DEFECTS)
    compare.check_import(tmp_path)
    selection = Selection("^(compare_spectra N=4 |project minilm-query N=2 )", seconds=0.001, ours=True)
    found = compare.compared(selection, tmp_path, ROOT, 2)
    assert list(found) == [("compare_spectra N=4 r=8", "ours/cpu")]
    compare.report(found)
    out, err = capsys.readouterr()
    assert "slower   compare_spectra N=4 r=8, ours/cpu" in out and "0 faster, 0 same, 1 slower" in out
    assert "left out: project minilm-query N=2 m=384 n=384 r=8, ours/cpu: today: AssertionError" in err


@pytest.mark.parametrize(("above", "status"), [("1.2", 0), ("1.05", 1)])
def test_fail_above_asks_nearly_all_ratios(monkeypatch, above, status) -> None:
    monkeypatch.setattr(compare, "built", lambda root, ref: ROOT)
    monkeypatch.setattr(
        compare, "compared", lambda *_: {("a", "ours/cpu"): [0.9] + [1.1] * 9, ("b", "ours/cpu"): [0.5] * 10}
    )
    assert compare.main(["--fail-above", above]) == status
    assert compare.main([]) == 0


def test_another_import_than_the_trees_is_refused(tmp_path) -> None:
    with pytest.raises(compare.CompareError, match=f"expected the kernels of {tmp_path}, got "):
        compare.check_import(tmp_path)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_revision_is_built_once_by_its_own_recipe_or_says_where_the_log_is(tmp_path, monkeypatch, capsys) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    (tmp_path / compare.PACKAGE).parent.mkdir()
    (tmp_path / compare.PACKAGE).write_text("")
    git("init")
    git("add", "-A")
    git("commit", "-m", "one")
    run = subprocess.run

    def pip(command, **options):
        if "pip" not in command:
            return run(command, **options)
        packages, tree = Path(command[-2]), Path(command[-1])
        shutil.copytree(tree, packages)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(compare.subprocess, "run", pip)
    folder = compare.built(tmp_path, "HEAD")
    assert (folder / compare.PACKAGE).is_file() and "once" in capsys.readouterr().err
    assert compare.built(tmp_path, "HEAD") == folder and capsys.readouterr().err == ""
    shutil.rmtree(folder)
    monkeypatch.setattr(
        compare.subprocess, "run", lambda c, **o: subprocess.CompletedProcess(c, 1) if "pip" in c else run(c, **o)
    )
    with pytest.raises(compare.CompareError, match=r"does not build; the whole output is in .*log$"):
        compare.built(tmp_path, "HEAD")
    for ref in ("no-such", "--all"):
        with pytest.raises(compare.CompareError):
            compare.built(tmp_path, ref)


@pytest.mark.parametrize("arguments", [["--pairs", "3"], ["--only", "("], ["--ref", "no-such"]])
def test_bad_input_is_one_line(arguments, capsys) -> None:
    assert compare.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("bench-compare: ") and err.count("\n") == 1
