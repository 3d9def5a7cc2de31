"""pytest-benchmark over the registry: every provider of a case in one process, compared before it is timed.

``pytest harness.py --only REGEX --rows FILE``; ``taskvec bench`` and ``make bench`` run it in fresh processes.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

from taskvec_bench.case import Case, DisagreementError
from taskvec_bench.registry import CASES, selected
from taskvec_bench.rows import SHAPE, Sample

SLOW, FEW_ROUNDS, MOST_ROUNDS = 0.3, 3, 200  # a call of more seconds is timed once a process


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    options = metafunc.config.option
    pairs = [
        (case.name, provider) for case in selected(options.only, quick=options.quick) for provider in case.providers
    ]
    metafunc.parametrize(("name", "provider"), pairs)


@lru_cache(maxsize=1)
def inputs(name: str) -> Any:
    return CASES[name].inputs()


@lru_cache(maxsize=1)
def truth(name: str) -> Any:
    return CASES[name].truth(inputs(name))


@contextmanager
def threads(case: Case) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(case.threads or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def columns(case: Case, provider: str, count: int) -> dict[str, Any]:
    """What a row says of its case."""
    way = case.providers[provider]
    shape = {key: case.shape.get(key) for key in SHAPE} | {"model": case.shape.get("model", "")}
    return shape | {
        "function": case.function,
        "variant": case.variant,
        "flop": float(case.flop),
        "bytes": float(case.bytes),
        "precision": case.precision,
        "threads": count,
        "part": way.part,
        "computes": way.computes,
    }


def checked(case: Case, provider: str) -> float:
    """Seconds of a call whose result is the reference's; raises DisagreementError where it is not."""
    way = case.providers[provider]
    start = time.perf_counter()
    result = way.run(inputs(case.name))
    seconds = time.perf_counter() - start
    true = truth(case.name) if way.truth is None else way.truth(inputs(case.name))
    (way.agrees or case.agrees)(result, true)
    return seconds


def test_case(name: str, provider: str, benchmark: Any, request: pytest.FixtureRequest) -> None:
    case, options = CASES[name], request.config.option
    way = case.providers[provider]

    def say(**found: Any) -> None:
        if options.rows:
            with Path(options.rows).open("a") as file:
                sample = Sample(name, provider, **({"times": ()} | found), columns=columns(case, provider, count))
                print(json.dumps(dataclasses.asdict(sample)), file=file)

    with threads(case) as count:
        if missing := way.missing():
            say(left_out=missing)
            pytest.skip(f"{missing} is not installed")
        try:
            seconds = checked(case, provider)
        except DisagreementError as error:
            say(refused=str(error))
            pytest.fail(f"{provider} is refused: {error}", pytrace=False)
        except Exception as error:  # no result is no better than a wrong one
            say(refused=f"{type(error).__name__}: {error}")
            raise
        benchmark.group = name
        budget = options.seconds
        if seconds < 3 * SLOW:  # the first call pays for pages and caches: the second says what one takes
            start = time.perf_counter()
            way.run(inputs(name))
            seconds = time.perf_counter() - start
        rounds = max(FEW_ROUNDS if seconds < SLOW else 1, min(MOST_ROUNDS, int(budget / max(seconds, 1e-6))))
        benchmark.pedantic(way.run, (inputs(name),), rounds=rounds)
        say(times=[time / way.part for time in benchmark.stats.stats.data])
