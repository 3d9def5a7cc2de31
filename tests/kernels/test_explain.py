"""``explain``: what a call would run, asked with the call's own arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import taskvec_kernels as tk
from taskvec_kernels.dispatch import operators, registry

from .cases import factors, zoo

b, a = factors(9, 8, 3)
x, y = zoo(4, 9, 8, 3), zoo(3, 9, 8, 2, seed=10)
CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "lowrank_svd": (tk.lowrank_svd, (b, a, 0.5)),
    "project": (tk.project, (x.U[0], x.Vh[0], b, a)),
    "project_dense": (tk.project_dense, (x.U[0], x.Vh[0], b @ a)),
    "pairwise": (tk.pairwise, (x, y)),
    "sparsify": (tk.sparsify, (x.S, 9 * x.S.norm(dim=-1), 0.1)),
    "compare_spectra": (tk.compare_spectra, (x.S, x.S)),
}


@pytest.mark.parametrize("backend", [None, "cpu", "reference"])
@pytest.mark.parametrize("name", CALLS)
def test_it_is_what_runs(name: str, backend: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    function, arguments = CALLS[name]
    said = tk.explain(function, *arguments, backend=backend)
    ran: list[str] = []
    choose = registry.implementation

    def watched(*asked: Any) -> Any:
        chosen = choose(*asked)
        ran.append(chosen.__module__)
        return chosen

    monkeypatch.setattr(operators, "implementation", watched)
    function(*arguments, backend=backend)
    assert ran == [f"taskvec_kernels.backends.{said.backend}"] and said.function == name
    assert said.level == (tk.simd_level() if said.backend == "cpu" else None)
    assert set(said.others) == set(registry.BACKENDS) - {said.backend} and all(said.others.values())
    text = str(said)
    assert "\n" not in text and text.startswith(f"{name} runs on {said.backend}") and "; triton: " in text


def test_the_route_of_pairs() -> None:
    """From shapes and precision; "fixed" where the level has it."""
    few, many = zoo(16, 9, 8, 8), zoo(17, 9, 8, 8)
    assert tk.explain(tk.pairwise, few, backend="cpu").route == ("dots", "dots")
    assert tk.explain(tk.pairwise, many, few, backend="cpu").route == ("panels", "panels")
    said = tk.explain(tk.pairwise, many, precision="medium", backend="cpu")
    assert said.route in (("panels", "panels"), ("fixed", "fixed")) and f"products by {said.route[0]}, " in str(said)
    arrays = tk.LowRankSVD(*(t.numpy() for t in many))
    assert tk.explain(tk.pairwise, arrays, backend="cpu").route == ("panels", "panels")
    assert tk.explain(tk.pairwise, few, backend="reference").route is None


def test_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "FUNCTIONS", {})
    for function, arguments in CALLS.values():
        tk.explain(function, *arguments)


def test_errors() -> None:
    with pytest.raises(TypeError, match=r"explain takes one of lowrank_svd, .*, got simd_level"):
        tk.explain(tk.simd_level)
    with pytest.raises(TypeError, match="the function itself and not its name"):
        tk.explain("pairwise", x)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'metric'"):
        tk.explain(tk.pairwise, x, metric="rec")
    with pytest.raises(ValueError, match="pairwise: unknown backend 'gpu'; can run: cpu"):
        tk.explain(tk.pairwise, x, backend="gpu")
    with pytest.raises(ValueError, match="backend 'cpu' cannot run: takes CPU tensors, got meta"):
        tk.explain(tk.lowrank_svd, b.to("meta"), torch.empty(3, 8, device="meta"), backend="cpu")
