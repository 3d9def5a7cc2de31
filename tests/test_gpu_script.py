"""``scripts/gpu`` where there is no GPU: commands that only note that they ran, one that fails and one that hangs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUB = """#!/usr/bin/env bash
echo "$(basename "$0") $*" | head -n 1 >>"$CALLS"
case "$*" in
  *test_functions.py) echo "FAILED tests/gpu/test_functions.py::test_project"; echo "1 failed"; exit 1 ;;
  *test_lowrank_cuda.py) echo "a line before it hangs"; exec sleep 100 ;;
esac
echo done
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the script among commands that are not the real ones."""
    for name in ("scripts/gpu", "bin/python", "bin/cmake", "bin/compute-sanitizer", "build/gpu/test_cuda_device"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((ROOT / name).read_text() if name == "scripts/gpu" else STUB)
        path.chmod(0o755)
    return tmp_path


def test_every_step_runs_whatever_became_of_the_last(tree: Path) -> None:
    environment = os.environ | {
        "PATH": f"{tree / 'bin'}:{os.environ['PATH']}",
        "PYTHON": "python",
        "CALLS": str(tree / "calls"),
        "OUT": str(tree / "out"),
        "TASKVEC_GPU_SECONDS": "20",  # 2 s for the step that hangs
    }
    run = subprocess.run(
        [tree / "scripts/gpu"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 1, run.stderr
    calls = (tree / "calls").read_text()
    order = ["cmake -S", "cmake --build", "test_cuda_device", "test_functions.py -k", "test_functions.py\n",
             "test_lowrank_cuda.py", "test_pairs_gpu.py", "test_sweeps_gpu.py", "taskvec_bench", "memcheck",
             "racecheck"]  # fmt: skip
    places = [calls.index(word) for word in order]
    assert places == sorted(places)
    summary = run.stdout[run.stdout.index("== summary") :]
    assert len(summary.splitlines()) < 30
    assert "failed, status 1" in summary and "stopped after 2 s" in summary and "::test_project" in summary
    assert summary.count(" ok ") == 9
    logs = sorted(path.name for path in (tree / "out/logs").iterdir())
    assert len(logs) == 11 and logs[5] == "06-lowrank_svd.log"
    assert (tree / "out/logs" / logs[5]).read_text() == "a line before it hangs\n"


def test_without_a_gpu_it_says_so_and_ends(tree: Path) -> None:
    (tree / "bin/python").write_text("#!/usr/bin/env bash\necho 'gpu: no GPU for torch'\nexit 1\n")
    environment = os.environ | {"PATH": f"{tree / 'bin'}:{os.environ['PATH']}", "PYTHON": "python"}
    run = subprocess.run([tree / "scripts/gpu"], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 2 and run.stderr == "gpu: no GPU for torch\n"
    assert len(run.stdout.splitlines()) == 1
