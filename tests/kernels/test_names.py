"""One name a metric, in Python, in the oracle and in the core; and the functions behind them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import torch

from taskvec_kernels import _C, compare_spectra, lowrank_svd, pairwise, project, project_dense, reference, sparsify
from taskvec_kernels.backends import cpu as native
from taskvec_kernels.metrics import PAIRWISE, SPECTRAL
from taskvec_kernels.solver import Solver

from . import bounds

CSRC = Path(__file__).parents[2] / "csrc"


def core_names() -> list[str]:
    return re.findall(r"^  X\((\w+), ", (CSRC / "include/taskvec/metrics.h").read_text(), re.MULTILINE)


def test_metrics_are_the_same_everywhere() -> None:
    names = set(PAIRWISE) | set(SPECTRAL)
    assert set(reference.METRICS) == set(core_names()) == set(bounds.METRICS) == names
    assert set(PAIRWISE) == names - {"entropy"} and set(SPECTRAL) < names
    assert all(reference.METRICS[name].__name__ == name for name in names)


def test_the_core_has_one_function_a_metric() -> None:
    """Its switch is made from the list, so that a missing function is an error of the compiler."""
    source = (CSRC / "cpu/metrics/metrics.h").read_text()
    for name in core_names():
        assert len(re.findall(rf"^inline Vec<T> {name}\(const Compared<T>& c\)", source, re.MULTILINE)) == 1, name
    for path in (p for part in ("*.h", "*.cpp", "*.cu", "*.cuh") for p in CSRC.rglob(part)):
        assert not re.search(r"\bcase \w+::\w+:(?s:.*?)\bdefault:", path.read_text()), f"{path.name} hides a case"


@pytest.mark.parametrize("name", SPECTRAL)
def test_the_core_knows_each(name: str) -> None:
    """The right one: told apart by values that no two metrics share."""
    s1, s2 = torch.tensor([4.0, 2.0, 1.0]), torch.tensor([1.0, 3.0, 0.5])
    want = reference.compare_spectra(s1, s2, metrics=[name], p=3.0)[name]
    assert torch.allclose(compare_spectra(s1, s2, metrics=[name], p=3.0)[name].double(), want, atol=1e-6)


def test_the_core_refuses_a_name_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="unknown metric 'l3'"):
        _C.compare_spectra(False, 1, 1, 0, 0, 1.0, {"l3": 0}, 1)
    solver = native.as_tuple(Solver())
    for i, what in enumerate(("method", "norm", "start")):
        wrong = (*solver[:i], "none", *solver[i + 1 :])
        with pytest.raises(ValueError, match=f"unknown {what} 'none'"):
            _C.sparsify(False, 0, 1, wrong, 0, 0, 0, 0, 0, 0, 0, 0, None, 1)
    with pytest.raises(ValueError, match="unknown dtype 'int8'"):
        _C.lowrank_svd("int8", 0, 1, 1, 1, 0, (0, 0, 0), 0, (0, 0, 0), 0, 0, 0, 0, 1)


@pytest.mark.parametrize(
    "function", [lowrank_svd, project, project_dense, pairwise, sparsify, compare_spectra], ids=lambda f: f.__name__
)
def test_the_oracle_takes_the_same_arguments(function: object) -> None:
    ours = list(inspect.signature(function).parameters)  # type: ignore[arg-type]
    oracle = list(inspect.signature(getattr(reference, function.__name__)).parameters)  # type: ignore[attr-defined]
    assert [name for name in ours if name not in ("backend", "precision", "check")] == oracle


def test_docs_state_every_bound() -> None:
    page = (Path(__file__).parents[2] / "docs/NUMERICS.md").read_text()
    functions = [name for name, f in inspect.getmembers(bounds, inspect.isfunction) if f.__module__ == bounds.__name__]
    missing = [name for name in functions if f"`{name}`" not in page]
    assert len(functions) > 15 and not missing
