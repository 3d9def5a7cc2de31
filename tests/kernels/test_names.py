"""One name a metric, in Python, in the oracle and in the core; and the functions behind them."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from taskvec_kernels import _C, compare_spectra, lowrank_svd, pairwise, project, project_dense, reference, sparsify
from taskvec_kernels import pairs as pairs_module
from taskvec_kernels import spectra as spectra_module
from taskvec_kernels.backends import cpu as native
from taskvec_kernels.metrics import BY_LAM, METRICS, PAIRWISE, SPECTRAL, metric
from taskvec_kernels.solver import Solver

from . import bounds
from .cases import zoo

CSRC = Path(__file__).parents[2] / "csrc"


def core_names() -> list[str]:
    return re.findall(r"^  X\((\w+), ", (CSRC / "include/taskvec/metrics.h").read_text(), re.MULTILINE)


def test_metrics_are_the_same_everywhere() -> None:
    names = [metric.name for metric in METRICS]
    assert list(reference.METRICS) == core_names() == names and set(bounds.METRICS) == set(names)
    assert set(PAIRWISE) == set(names) - {"entropy"} and set(SPECTRAL) < set(names)
    assert all(reference.METRICS[name].__name__ == name for name in names)
    assert all(one.meaning and one.meaning.isascii() and "\n" not in one.meaning for one in METRICS)
    with pytest.raises(KeyError):
        metric("l3")


@pytest.mark.parametrize("function", [pairwise, compare_spectra], ids=lambda f: f.__name__)
def test_docstrings_have_the_table(function: Callable[..., object]) -> None:
    text = function.__doc__ or ""
    for name in PAIRWISE if function is pairwise else SPECTRAL:
        assert f"{name}: {metric(name).meaning}." in text
    assert "{metrics}" not in text


def test_what_a_metric_is_said_to_need_and_no_more() -> None:
    """What the oracle reads of a pair, watched; what depends on λ is what reads S₂."""
    fields = {"s2": "spectra", "s1": "spectra", "d": "d", "inner": "d", "cross_u": "cross", "cross_v": "cross"}
    fields |= {"source_norm": "norm", "held": "cross", "held_out": "cross", "held_in": "cross"}
    one = torch.ones(1, dtype=torch.float64)
    for known in METRICS:
        seen: set[str] = set()

        class Watched(reference.Pair):
            def __getattribute__(self, name: str, seen: set[str] = seen) -> object:
                seen.add(name)
                return super().__getattribute__(name)

        pair = Watched(s1=one, s2=one, d=one, tau_norm=one, source_norm=one, inner=one, rank_target=one)
        pair.cross_u = pair.cross_v = one[:, None]
        pair.held = pair.held_out = pair.held_in = one
        pair.closed = one > 0
        seen.clear()
        reference.METRICS[known.name](pair)
        if "tau_norm" in seen and known.name not in ("overlap_u", "overlap_v"):  # there it is compared with 0 alone
            seen.add("source_norm")
        # rank counts S₁, which is there whatever a metric needs
        needs = {need for name, need in fields.items() if name in seen - ({"s1"} if "s2" not in seen else set())}
        assert needs | ({"spectra"} if known.of == "source" else set()) == known.needs, known.name
        assert bool({"s2", "closed"} & seen) == known.by_lam == (known.name in BY_LAM), known.name


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_metric_without_a_function_is_refused(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in the list alone: no backend answers with the value of another metric; Triton: test_triton.py."""
    for module, name in ((pairs_module, "PAIRWISE"), (spectra_module, "SPECTRAL")):
        monkeypatch.setattr(module, name, (*getattr(module, name), "median"))
    x = zoo(3, 9, 8, 2)
    for call in (lambda: pairwise(x, metrics=["median"], backend=backend),
                 lambda: compare_spectra(x.S, x.S, metrics=["median"], backend=backend)):  # fmt: skip
        with pytest.raises(Exception, match="median"):
            call()


def test_the_core_has_one_function_a_metric() -> None:
    """Its switch is made from the list, so that a missing function is an error of the compiler."""
    source = (CSRC / "cpu/metrics/metrics.h").read_text()
    for name in core_names():
        assert len(re.findall(rf"^inline Vec<T> {name}\(const Compared<T>& c\)", source, re.MULTILINE)) == 1, name
    for path in (p for part in ("*.h", "*.cpp", "*.cu", "*.cuh") for p in CSRC.rglob(part)):
        assert not re.search(r"\bcase \w+::\w+:(?s:.*?)\bdefault:", path.read_text()), f"{path.name} hides a case"


UNIT = """
#define TASKVEC_LEVEL baseline
#define TASKVEC_VECTOR_BYTES 16
#include "cpu/metrics/metrics.h"
namespace taskvec::baseline {
template Vec<float> metric<float>(Metric, const Compared<float>&);
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_metric_without_a_function_does_not_compile(tmp_path: Path) -> None:
    """A name that is added to the list of the core and nowhere else."""
    header = (CSRC / "include/taskvec/metrics.h").read_text()
    copy = tmp_path / "taskvec/metrics.h"
    copy.parent.mkdir()
    for extra, compiles in (("", True), ("  X(made_up, spectra) \\\n", False)):
        copy.write_text(header.replace("  X(l1, ", extra + "  X(l1, "))
        command = ["g++", "-std=c++17", "-fsyntax-only", "-Wno-psabi", "-x", "c++", "-"]
        folders = [f"-I{folder}" for folder in (tmp_path, CSRC / "include", CSRC)]
        run = subprocess.run([*command, *folders], input=UNIT, capture_output=True, text=True)
        assert (run.returncode == 0) is compiles, run.stderr
    assert "made_up" in run.stderr


@pytest.mark.parametrize("name", SPECTRAL)
def test_the_core_knows_each(name: str) -> None:
    """The right one: told apart by values that no two metrics share."""
    s1, s2 = torch.tensor([4.0, 2.0, 1.0]), torch.tensor([1.0, 3.0, 0.5])
    want = reference.compare_spectra(s1, s2, metrics=[name], p=3.0)[name]
    assert torch.allclose(compare_spectra(s1, s2, metrics=[name], p=3.0)[name].double(), want, atol=1e-6)


def test_the_core_refuses_a_name_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="unknown metric 'l3'"):
        _C.compare_spectra(False, 1, 1, 0, 0, 1.0, {"l3": 0}, 1)
    with pytest.raises(ValueError, match="metric 'cosine' needs more than two spectra"):
        _C.compare_spectra(False, 1, 1, 0, 0, 1.0, {"cosine": 0}, 1)
    solver = native.as_tuple(Solver())
    for i, what in enumerate(("method", "norm", "positive", "start")):
        wrong = (*solver[:i], "none", *solver[i + 1 :])
        with pytest.raises(ValueError, match=f"unknown {what} 'none'"):
            _C.sparsify(False, 0, 1, wrong, 0, 0, 0, 0, 0, 0, 0, 0, None, 1)
    with pytest.raises(ValueError, match="unknown dtype 'int8'"):
        _C.lowrank_svd(0, 1, *[("int8", 0, 1, (0, 0, 0))] * 2, 0, ((0, 0),) * 3, 1)


@pytest.mark.parametrize(
    "function", [lowrank_svd, project, project_dense, pairwise, sparsify, compare_spectra], ids=lambda f: f.__name__
)
def test_the_oracle_takes_the_same_arguments(function: object) -> None:
    ours = list(inspect.signature(function).parameters)  # type: ignore[arg-type]
    oracle = list(inspect.signature(getattr(reference, function.__name__)).parameters)  # type: ignore[attr-defined]
    assert [name for name in ours if name not in ("backend", "precision", "check", "out")] == oracle


def test_docs_state_every_bound() -> None:
    page = (Path(__file__).parents[2] / "docs/NUMERICS.md").read_text()
    functions = [name for name, f in inspect.getmembers(bounds, inspect.isfunction) if f.__module__ == bounds.__name__]
    missing = [name for name in functions if f"`{name}`" not in page]
    assert len(functions) > 15 and not missing
