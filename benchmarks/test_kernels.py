"""pytest-benchmark over the cases: every provider in one process, compared before it is timed."""

from __future__ import annotations

from functools import cache

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .case import Case
from .cases import CASES

PROVIDERS = {
    "matmul": ("torch",),
    "pairwise-4096": ("ours", "torch row panels"),
    "pairwise-1024": ("ours", "torch row panels"),
    "pairwise-medium": ("ours", "highest"),
    "pairwise-modules": ("ours", "python loop, cached SVDs"),
    "lowrank-8": ("ours", "torch qr + svd"),
    "lowrank-64": ("ours", "torch qr + svd"),
    "sparse-exact": ("ours", "torch, sorted"),
    "sparse-fused": ("ours", "λ = 0"),
    "sparse-adam": ("ours", "torch.optim.Adam, batched"),
    "sparse-dense": ("ours", "torch.optim.Adam, dense"),
}


@cache
def checked(name: str) -> Case:
    case = CASES[name]()
    assert tuple(case.providers) == PROVIDERS[name]
    case.check({provider: run() for provider, run in case.providers.items()})
    return case


@pytest.mark.parametrize(("name", "provider"), [(name, p) for name, providers in PROVIDERS.items() for p in providers])
def test_case(name: str, provider: str, benchmark: BenchmarkFixture) -> None:
    case = checked(name)
    benchmark.group = case.name
    benchmark.extra_info.update(key=name, case=case.name, provider=provider, flop=case.flop)
    benchmark.extra_info["pairs"] = case.pairs.get(provider, 1)
    benchmark.pedantic(case.providers[provider], rounds=case.rounds.get(provider, 5), warmup_rounds=1)
