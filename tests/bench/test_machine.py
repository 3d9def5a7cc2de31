"""The commit that a row carries."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from taskvec_bench import machine


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_new_rows_are_no_change_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "source_tree", lambda: tmp_path)
    assert machine.commit() == ""  # not a checkout
    code, rows = tmp_path / "csrc/kernel.cpp", tmp_path / "benchmarks/data/machine.csv"
    for path in (code, rows):
        path.parent.mkdir(parents=True)
        path.write_text("1")
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for step in (("init",), ("add", "."), (*who, "commit", "-m", "one")):
        machine.git(tmp_path, *step)
    head = machine.commit()
    assert 7 <= len(head) <= 40 and "dirty" not in head
    rows.write_text("2")
    assert machine.commit() == head
    code.write_text("2")
    assert machine.commit() == f"{head}-dirty"
