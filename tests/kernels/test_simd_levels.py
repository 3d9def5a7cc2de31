"""Every SIMD level that this CPU has, each in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskvec_kernels import _C, simd_level

from ..helpers.fresh import python

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
LEVELS = ("amx", "avx512", "avx2", "baseline")
ACCURACY = [
    "test_lowrank_accuracy.py",
    "test_lowrank_degenerate.py",
    "test_pairwise_accuracy.py",
    "test_pairwise_precision.py",
    "test_compare_spectra.py",
    "test_sparsify_exact.py",
    "test_sparsify_adam.py",
    "test_pairwise_sparse.py",
]
# what differs in no instruction, or costs the oracle most
LEFT_OUT = [
    "reference",
    "largest",
    "many_adapters",
    "sizes",
    "powers",
    "metric_alone",
    "several_chunks",
    "cancel",
    "200x",
    "oracle",
    "conditions",
    "says_something",
    "300",
    "40x12",
    "threads",
]
# the extension alone: torch takes seconds to import
LOAD = f"""
import importlib.util as util
spec = util.spec_from_file_location("_C", {_C.__file__!r})
core = util.module_from_spec(spec)
spec.loader.exec_module(core)
print(core.simd_level())
"""


def test_the_levels_are_known() -> None:
    available = _C.available_simd_levels().split()
    assert available[-1] == "baseline" and set(available) <= set(LEVELS)
    assert simd_level() == (os.environ.get("TASKVEC_SIMD") or available[0])


@pytest.mark.parametrize("level", LEVELS)
def test_accuracy(level: str) -> None:
    if level not in _C.available_simd_levels().split():
        pytest.skip(f"this CPU has no {level}")
    if level == simd_level():
        pytest.skip(f"{level} is the level of this process")
    assert python("-c", LOAD, TASKVEC_SIMD=level).stdout.split() == [level]
    tests = [str(HERE / name) for name in ACCURACY]
    run = python(
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-k",
        "not " + " and not ".join(LEFT_OUT),
        *tests,
        TASKVEC_SIMD=level,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert int(run.stdout.split(" passed")[0].split()[-1]) > 300, run.stdout[-200:]


@pytest.mark.parametrize("level", ["avx1024", "AVX2", "avx2 "])
def test_an_unknown_level(level: str) -> None:
    run = python("-c", LOAD, TASKVEC_SIMD=level)
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert f"TASKVEC_SIMD is '{level}'" in last and _C.available_simd_levels() in last


def test_an_empty_level_is_none_asked_for() -> None:
    run = python("-c", LOAD, TASKVEC_SIMD="")
    assert run.stdout.split() == [_C.available_simd_levels().split()[0]]
