"""Peak memory of a call, measured in a process of its own: inputs are there before, outputs and scratch come on top."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MIB = 2**20
SCRIPT = """
import torch
from taskvec_kernels import LowRankSVD, lowrank_svd, pairwise

def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

def zoo(N, m, n, k):
    return LowRankSVD(torch.rand(N, k, m).mT, torch.rand(N, k), torch.rand(N, k, n))

torch.set_num_threads(2)
{setup}
small = zoo(2, 8, 8, 2)
pairwise(small, small), lowrank_svd(torch.rand(2, 8, 2), torch.rand(2, 2, 8))
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
before = kilobytes("VmRSS")
out = {call}
print((kilobytes("VmHWM") - before) * 1024)
"""
# setup, call, bytes of outputs
CASES = {
    "many adapters": ("x = zoo(1024, 256, 256, 8)", "pairwise(x)", 5 * 4 * 1024**2),
    "long directions": ("x = zoo(64, 8192, 8192, 8)", "pairwise(x)", 5 * 4 * 64**2),
    "rank 256": ("x = zoo(16, 1024, 1024, 256)", "pairwise(x)", 5 * 4 * 16**2),
    "rank 256 against 1": (
        "x, y = zoo(64, 512, 512, 256), zoo(2048, 512, 512, 1)",
        "pairwise(x, y)",
        2 * 5 * 4 * 64 * 2048,
    ),
    "rank 1 against 256": (
        "x, y = zoo(2048, 512, 512, 1), zoo(64, 512, 512, 256)",
        "pairwise(x, y)",
        2 * 5 * 4 * 64 * 2048,
    ),
    "fp64": ("x = LowRankSVD(*(t.double() for t in zoo(512, 256, 256, 8)))", "pairwise(x)", 5 * 8 * 512**2),
    "several λ's": ("x = zoo(512, 256, 256, 8)", "pairwise(x, lam=[0.0, 0.1, 0.3, 0.5, 0.9, 1.0])", 6 * 5 * 4 * 512**2),
    "several λ's of rank 256": (
        "x, y = zoo(64, 512, 512, 256), zoo(1024, 512, 512, 1)",
        "pairwise(x, y, lam=[0.0, 0.1, 0.3, 0.5])",
        4 * 2 * 5 * 4 * 64 * 1024,
    ),
    "spectra": ("x = zoo(512, 64, 64, 8)", "pairwise(x, spectra=True)", (5 + 16) * 4 * 512**2),
    "factors": (
        "b, a = torch.rand(64, 4096, 16), torch.rand(64, 16, 4096)",
        "lowrank_svd(b, a)",
        64 * 4 * (2 * 16 * 4096 + 16),
    ),
    "factors of rank 256": (
        "b, a = torch.rand(4, 1024, 256), torch.rand(4, 256, 1024)",
        "lowrank_svd(b, a)",
        4 * 4 * (2 * 256 * 1024 + 256),
    ),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no /proc/self/clear_refs to reset the peak")
@pytest.mark.parametrize("name", CASES)
def test_peak(name: str) -> None:
    setup, call, outputs = CASES[name]
    script = SCRIPT.format(setup=setup, call=call)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    used = int(run.stdout)
    # large pages and the allocator round outputs up
    allowed = outputs + (64 + 8) * MIB
    assert outputs * 0.9 < used < allowed, f"{used / MIB:.0f} MiB, {outputs / MIB:.0f} of them outputs"
