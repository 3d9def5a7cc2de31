"""The Triton kernels under Triton's interpreter: ``tests/triton_backend`` in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from taskvec_kernels.metrics import PAIRWISE, SPECTRAL

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_under_the_interpreter() -> None:
    """A backend that is there and ran no test would fail here."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/triton_backend"],
        env=os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert int(run.stdout.split(" passed")[0].split()[-1]) > 100, run.stdout[-200:]


def test_one_function_a_metric() -> None:
    source = (ROOT / "taskvec_kernels/backends/triton/metrics.py").read_text()
    names = set(PAIRWISE) | set(SPECTRAL)
    for name in names:
        assert len(re.findall(rf"^def {name}\(", source, re.MULTILINE)) == 1, name
    assert set(re.findall(r'NAME == "(\w+)"', source)) == names - {"entropy_projected"}


def test_the_backend_is_imported_when_it_is_used() -> None:
    script = "import sys, taskvec_kernels; taskvec_kernels.backend_report(); print('triton' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.split() == ["False"]
