"""A zoo whose answers are algebra: sums, cuts and merges of random task vectors, three seeds of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

SEEDS = 3
LAYERS, SIZES, RANK = 7, {"q": (40, 32), "v": (24, 32)}, 4
TASKS = ("one", "two", "far")
NOISE = 0.1  # of every entry of the factors, in each seed anew

Factors = dict[str, tuple[Tensor, Tensor]]  # by module path: B (m, r), A (r, n)

TRUTH: dict[str, Any] = {
    "schema": "taskvec.truth/1",
    "groups": {name: [f"{name}-s{s}" for s in range(SEEDS)] for name in (*TASKS, "sum", "cut", "merge")},
    "seeds": {str(s): [f"{name}-s{s}" for name in (*TASKS, "sum", "cut", "merge")] for s in range(SEEDS)},
    "contains": [
        {"container": "sum", "part": "one", "relation": "sum ⊃ part"},
        {"container": "sum", "part": "two", "relation": "sum ⊃ part"},
        {"container": "one", "part": "cut"},
        {"container": "merge", "part": "one", "pairs": "same seed"},
    ],
    "same": [{"among": [name]} for name in TASKS],
    "unrelated": [{"between": ["far", "one"]}, {"between": ["far", "two"]}, {"between": ["one", "two"]}],
}


def known_zoo() -> dict[str, Factors]:
    """Factors of every adapter, by name: tasks ``one``, ``two`` and ``far``; ``sum`` of the first two, ``merge``, that
    sum cut to the rank of its parts, and ``cut``, the leading half of ``one``."""
    generator = torch.Generator().manual_seed(3)
    common = {task: drawn(generator) for task in TASKS}
    zoo: dict[str, Factors] = {}
    for s in range(SEEDS):
        of = {task: noisy(factors, generator) for task, factors in common.items()}
        of["sum"] = {path: concatenated(of["one"][path], of["two"][path]) for path in of["one"]}
        of["merge"] = truncated(of["sum"], RANK)
        of["cut"] = truncated(of["one"], RANK // 2)
        zoo |= {f"{name}-s{s}": rescaled(factors) for name, factors in of.items()}
    return zoo


def drawn(generator: torch.Generator) -> Factors:
    scales = torch.tensor([2.0**-k for k in range(RANK)])
    return {
        f"h.{layer}.{kind}": (
            torch.randn(m, RANK, generator=generator) * scales, torch.randn(RANK, n, generator=generator)
        )
        for layer in range(LAYERS)
        for kind, (m, n) in SIZES.items()
    }  # fmt: skip


def noisy(factors: Factors, generator: torch.Generator) -> Factors:
    def draw(x: Tensor) -> Tensor:
        return x + NOISE * torch.randn(x.shape, generator=generator)

    return {path: (draw(b), draw(a)) for path, (b, a) in factors.items()}


def concatenated(*parts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return torch.cat([b for b, _ in parts], 1), torch.cat([a for _, a in parts], 0)


def truncated(factors: Factors, rank: int) -> Factors:
    found = {}
    for path, (b, a) in factors.items():
        U, S, Vh = torch.linalg.svd(b @ a, full_matrices=False)
        found[path] = (U[:, :rank] * S[:rank], Vh[:rank])
    return found


def rescaled(factors: Factors) -> Factors:
    """With the scale alpha / r of each rank, the update that the factors multiply out to."""
    return {path: (b * (a.shape[0] / RANK), a) for path, (b, a) in factors.items()}


def behaviour(names: list[str]) -> Mapping[tuple[str, str], float]:
    """Made: an adapter does on a task what it has of it by construction."""
    has = {"sum": {"one", "two", "cut"}, "merge": {"one", "two", "cut"}, "one": {"one", "cut"}, "cut": {"cut"}}
    return {
        (a, b): float(b.split("-")[0] in has.get(a.split("-")[0], {a.split("-")[0]}))
        for a in names
        for b in names
        if a != b
    }
