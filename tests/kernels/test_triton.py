"""The Triton backend as far as it shows without running: its list of metrics, and when it is imported."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from taskvec_kernels.metrics import PAIRWISE, SPECTRAL

ROOT = Path(__file__).parents[2]


def test_one_function_a_metric() -> None:
    source = (ROOT / "taskvec_kernels/backends/triton/metrics.py").read_text()
    names = set(PAIRWISE) | set(SPECTRAL)
    for name in names:
        assert len(re.findall(rf"^def {name}\(", source, re.MULTILINE)) == 1, name
    assert set(re.findall(r'NAME == "(\w+)"', source)) == names


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="compiles, which the interpreter does not")
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
