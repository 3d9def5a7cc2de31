"""Figures of large zoos: one of them with a tiny zoo, in processes of its own, to rows."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskvec_bench.large.figures import FIGURES, Measured
from taskvec_bench.large.process import run, taskvec

pytestmark = pytest.mark.slow


def large(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "taskvec_bench.large", *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_figure_is_measured_and_kept(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("figure,what,value\nunits,old,1\nranking,kept,2\n")
    ran = large("--only", "units", "--small", "--csv", str(rows), "--folder", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    with rows.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["figure"], row["what"]) for row in found] == [
        ("ranking", "kept"),
        ("units", "units"),
        ("units", "units, nothing written"),
        ("units", "number of units"),
        ("units", "what writing adds"),
    ]
    assert all(float(row["value"]) > 0 for row in found[:4])
    assert found[4]["holds"] in ("True", "False")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_what_is_no_figure_is_said() -> None:
    ran = large("--only", "nothing")
    assert ran.returncode == 2
    assert f"matches none of {', '.join(FIGURES)}" in ran.stderr


def test_a_command_that_fails_is_no_number() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 2: .*no-such-folder"):
        run(taskvec("sweep", "no-such-folder", "-o", "out.zarr"))
    killed = run([sys.executable, "-c", "print('x', flush=True); import time; time.sleep(60)"], kill=lambda: True)
    assert killed.seconds < 60
    assert Measured("x", 1.0, "s", 3).bound is None
