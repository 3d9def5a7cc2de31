"""pytest-benchmark over the registry: every provider of a case in one process, compared before it is timed.

run.py starts it in fresh processes. The environment variable ``TASKVEC_BENCH`` says what to measure (``Selection``),
how many pairs of case and provider to skip, and where a JSON line (``Sample``) goes for each of the others.
"""

from __future__ import annotations

import json
import os
import time
from functools import lru_cache
from typing import Any

import pytest
import torch

from taskvec_bench.cases import CASES, pairs
from taskvec_bench.cases.case import Case, Provider, threads

SLOW, FEW_ROUNDS, MOST_ROUNDS = 0.3, 3, 200  # a call of more seconds is timed once a process
MIB = 2**20
BROKEN = 75  # exit status: the GPU's context is lost, and a fresh process goes on


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    ask = json.loads(os.environ["TASKVEC_BENCH"])
    wanted = pairs(ask["only"], ask["quick"], ask["device"], ask["ours"])
    metafunc.parametrize(("name", "provider"), wanted[ask["skip"] :])


def test_case(name: str, provider: str, benchmark: Any) -> None:
    """Never fails: what went wrong is in the sample."""
    ask, case = json.loads(os.environ["TASKVEC_BENCH"]), CASES[name]
    way, found = case.providers[provider], dict[str, Any]()
    with threads(case.threads) as count:
        try:
            found = {"left_out": way.needs} if way.missing() else timed(case, way, benchmark, ask["seconds"])
        except Exception as error:  # no result is no better than a wrong one
            found = {"refused": " ".join(f"{type(error).__name__}: {error}".split())}
    with open(ask["samples"], "a") as file:
        print(json.dumps({"case": name, "provider": provider, "threads": count, **found}), file=file)
    if case.device == "cuda" and "refused" in found:
        try:
            torch.cuda.synchronize()
        except Exception:
            os._exit(BROKEN)


def timed(case: Case, way: Provider, benchmark: Any, budget: float) -> dict[str, Any]:
    """Seconds of each round, scaled to the whole work; raises AssertionError where a result is not the case's."""
    inputs, gpu = inputs_of(case.name), case.device == "cuda"
    given = way.prepare(inputs)

    def call() -> Any:
        result = way.run(given)
        if gpu:
            torch.cuda.synchronize()
        return result

    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    true = way.truth(inputs) if way.truth else truth_of(case.name)
    (way.agrees or case.agrees)(result, true)
    del result
    if seconds < 3 * SLOW:  # the first call pays for pages and caches: the second says what one takes
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
    rounds = max(FEW_ROUNDS if seconds < SLOW else 1, min(MOST_ROUNDS, int(budget / max(seconds, 1e-6))))
    before = torch.cuda.memory_allocated() if gpu else 0
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    benchmark.pedantic(call, rounds=rounds)
    peak = (torch.cuda.max_memory_allocated() - before) / MIB if gpu and way.part == 1 else None
    return {"times": [time / way.part for time in benchmark.stats.stats.data], "peak_memory": peak}


@lru_cache(maxsize=1)
def inputs_of(name: str) -> Any:
    truth_of.cache_clear()
    return CASES[name].inputs()


@lru_cache(maxsize=1)
def truth_of(name: str) -> Any:
    return CASES[name].truth(inputs_of(name))
