"""What a case is, and the zoo that cases are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

import taskvec_kernels as tk

METRICS = ("l1", "l2", "rec", "entropy_projected", "cosine")


@dataclass(frozen=True)
class Case:
    """One workload. ``providers`` give the same result; ``check`` raises where one does not."""

    name: str
    flop: float  # needed by the best method, 0 where a ratio of times is the figure
    providers: dict[str, Callable[[], Any]]
    check: Callable[[dict[str, Any]], None]
    rounds: dict[str, int] = field(default_factory=dict)
    pairs: dict[str, int] = field(default_factory=dict)  # that one call of a provider solves, where they differ


def zoo(modules: int, adapters: int, m: int, r: int) -> tk.LowRankSVD:
    generator = torch.Generator().manual_seed(0)
    b = torch.randn(modules, adapters, m, r, generator=generator)
    a = torch.randn(modules, adapters, r, m, generator=generator)
    return tk.lowrank_svd(b, a, 1 / m)  # S near 1, so that one tolerance serves every metric
