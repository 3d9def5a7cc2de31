"""Samples without a measurement, and a harness whose limits take no time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskvec_bench import processes
from taskvec_bench.rows import LIMIT, Sample

OPTIONS = "from taskvec_bench.conftest import pytest_addoption\n"
HARNESS = """
import dataclasses
import torch
from taskvec_bench import registry
for name, case in registry.CASES.items():
    if case.function == "limit":
        small = dataclasses.replace(case, inputs=lambda: [torch.ones(8, 8) for _ in range(3)])
        registry.CASES[name] = small
from taskvec_bench.harness import *
"""
COLUMNS = {
    "function": "pairwise",
    "variant": "",
    "model": "tiny",
    "modules": 1,
    "N": 4,
    "m": 8,
    "n": 8,
    "r": 2,
    "flop": 4e9,
    "bytes": 1e9,
    "precision": "float32",
    "threads": 2,
    "part": 1.0,
    "computes": "",
}


@pytest.fixture
def sample() -> Callable[..., Sample]:
    """``sample(case, provider, *times, refused="", left_out="", **columns)``."""

    def make(case: str, provider: str, *times: float, refused: str = "", left_out: str = "", **also: Any) -> Sample:
        return Sample(case, provider, times, COLUMNS | also, refused=refused, left_out=left_out)

    return make


@pytest.fixture
def limit_samples(sample: Callable[..., Sample]) -> list[Sample]:
    """Of a machine with 100 GFLOP/s fp32, 50 GFLOP/s fp64 and 10 GB/s, at two threads."""
    single, double, copy = ({"function": LIMIT, "variant": kind} for kind in ("float32", "float64", "copy"))
    return [
        sample("limit float32 m=4096 n=4096", "torch/mm", 1.5, 1.0, flop=100e9, bytes=0, **single),
        sample("limit float64 m=3072 n=3072", "torch/mm", 1.0, flop=50e9, bytes=0, **double),
        sample("limit copy n=67108864", "torch/copy", 0.1, flop=0, bytes=1e9, **copy),
    ]


@pytest.fixture
def replaced_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """``replaced_harness(code)``: what the fresh processes run."""

    def replace(code: str = HARNESS) -> None:
        folder = tmp_path / "harness"
        folder.mkdir()
        (folder / "conftest.py").write_text(OPTIONS)
        (folder / "harness.py").write_text(code)
        monkeypatch.setattr(processes, "HARNESS", folder / "harness.py")

    return replace
