"""How large a result would be and how long it takes, before it is begun."""

from __future__ import annotations

import json

import pytest

import taskvec
from small_sweeps import KEEPS, METRICS, command, sweep
from taskvec import TaskvecError
from taskvec.sweeps import estimate

pytestmark = pytest.mark.usefixtures("small_units")


def test_a_dry_run_says_sizes_and_time_and_writes_nothing(zoo_folder, tmp_path, capsys) -> None:
    out = tmp_path / "out.zarr"
    code, printed, _ = command(capsys, "sweep", zoo_folder, "-o", out, "--dry-run", "--json", "--keep", "reduced")
    found = json.loads(printed)
    assert code == 0 and found["keep"] == "reduced" and found["pairs"] == 6 * 9 and found["free"] > 0
    sizes = {keep: taskvec.sweep(zoo_folder, keep=keep).nbytes for keep in KEEPS}
    assert {keep: found["bytes"][keep] for keep in KEEPS} == pytest.approx(sizes, rel=0.1, abs=3000)
    assert found["seconds"] == pytest.approx(found["pairs"] / found["pairs_per_second"])
    code, printed, _ = command(capsys, "sweep", zoo_folder, "-o", out, "--dry-run")
    assert code == 0 and "--keep all: at most" in printed and "(this one)" in printed
    assert not out.exists()


def test_a_result_that_does_not_fit_the_disk_is_refused_before_it_is_begun(five, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(estimate, "free_bytes", lambda out: 100)
    with pytest.raises(TaskvecError, match=r"the result needs .* and 100 B are free; keep less"):
        sweep(five, tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr").exists()
    monkeypatch.undo()
    monkeypatch.setattr(estimate, "ALL_BYTES", 100)
    assert taskvec.sweep(five, metrics=METRICS).attrs["keep"] == "reduced"
