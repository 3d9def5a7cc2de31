"""The Triton backend as far as it shows without running: its list of metrics, and when it is imported."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch

from taskvec_kernels.metrics import PAIRWISE, SPECTRAL

ROOT = Path(__file__).parents[2]
COMPILED = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") == "1",
    reason="needs Triton, and its compiler instead of its interpreter",
)


def test_one_function_a_metric() -> None:
    source = (ROOT / "taskvec_kernels/backends/triton/metrics.py").read_text()
    names = set(PAIRWISE) | set(SPECTRAL)
    for name in names:
        assert len(re.findall(rf"^def {name}\(", source, re.MULTILINE)) == 1, name
    assert set(re.findall(r'NAME == "(\w+)"', source)) == names


@pytest.mark.slow
@COMPILED
def test_a_metric_without_a_function_does_not_compile() -> None:
    from triton.compiler.errors import CompilationError

    from tests.triton_backend import offline, variants

    spectra = torch.empty(4096, 16, device="meta")
    variant = variants.Variant("compare_spectra", 90, None, spectra.dtype, lambda: None)
    with variants.recorded(90) as launches:
        for names in (["rec"], ["rec", "median"]):
            variants.backend.compare_spectra(spectra, spectra, names, None)
    known, unknown = launches
    assert not offline.build(variant, known).broken
    with pytest.raises(CompilationError) as caught:
        offline.build(variant, unknown)
    cause: BaseException = caught.value
    while cause.__cause__ is not None:
        cause = cause.__cause__
    assert "no function for the metric median" in str(cause)


def test_the_backend_is_imported_when_it_is_used() -> None:
    script = "import sys, taskvec_kernels; taskvec_kernels.backend_report(); print('triton' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.split() == ["False"]


@COMPILED
@pytest.mark.parametrize(("memory", "panels", "packed"), [(0, 34, 1.45e9), (80 * 2**30, 4, 0.87e9)])
def test_panels_follow_the_free_memory(memory: int, panels: int, packed: float) -> None:
    """What docs/PERFORMANCE.md predicts for N = 2,048 rests on these launches."""
    from taskvec_kernels.backends.triton import pairs
    from tests.triton_backend import variants

    x = variants.adapters(2048, 4096, 4096, 16, torch.float32)
    written = 0

    def pack(out: torch.Tensor, U: pairs.Strided, *rest: object) -> None:
        nonlocal written
        written += U.shape[0] * U.shape[1] * 16 * out.shape[1] * out.element_size()

    with variants.recorded(90, memory) as launches, mock.patch.object(pairs, "pack", pack):
        variants.pair(x, None, "medium")()
    assert sum(launch.kernel.__name__ == "gram" for launch in launches) == panels
    assert written == pytest.approx(packed, rel=0.01)
