"""Every case, declared once. Adding one is adding a line here, or a function that makes it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .case import Case
from .limits import copy_case, matmul_case
from .lowrank import lowrank_case
from .pairs import pairwise_case
from .peers import peer_cases
from .projections import project_case, project_dense_case, spectra_case
from .real import real_cases
from .shapes import BY_NAME, MODELS, Model
from .sparse import adam_case, algorithm1_case, exact_case, fused_case

N_OF_ZOOS, RANKS = (2, 8, 64, 256, 1024), (4, 8, 16, 64, 128)
MOST_FLOP, MOST_BYTES = (
    60e9,
    3e8,
)  # of one call: half a second on two cores, and inputs that fit beside everyone's copies


def square(m: int) -> Model:
    return Model(f"square-{m}", m, m, 64)


def limit_cases() -> Iterator[Case]:
    for threads in (None, 1):
        yield matmul_case("float32", threads)
        yield matmul_case("float64", threads)
        yield copy_case(threads)


def zoo_cases() -> Iterator[Case]:
    """People's shapes at r = 8 for every N and, at N = 2 and 64, for every r; a model's modules at once if they fit."""
    for model in MODELS:
        for adapters, r in [(N, 8) for N in N_OF_ZOOS] + [(N, r) for N in (2, 64) for r in RANKS if r != 8]:
            one = pairwise_case(model, adapters, r)
            room = int(min(MOST_FLOP / 20 / one.flop, MOST_BYTES / 2 / one.bytes))
            if one.flop <= MOST_FLOP and one.bytes <= MOST_BYTES:
                curves = tuple(c for c, is_point in (("N", r == 8), ("r", adapters == 64)) if is_point)
                yield pairwise_case(model, adapters, r, modules=max(1, min(model.modules, room)), curves=curves)


def pairwise_cases() -> Iterator[Case]:
    yield pairwise_case(square(4096), 256, 8, quick=True, curves=("m",))
    yield pairwise_case(square(1024), 1024, 8, quick=True)
    yield pairwise_case(square(1024), 8, 8, modules=64, quick=True, compiled=True)
    yield pairwise_case(square(1024), 64, 8, compiled=True)
    yield pairwise_case(square(1024), 2, 8, modules=16, compiled=True, quick=True)
    for m in (256, 512, 1024, 2048, 8192, 16384):
        yield pairwise_case(square(m), 256, 8, curves=("m",))
    yield pairwise_case(square(4096), 256, 8, threads=1, curves=("threads",))
    yield fused_case(square(4096), 256, 8, quick=True)
    yield from zoo_cases()


def lowrank_cases() -> Iterator[Case]:
    yield lowrank_case(square(4096), 256, 8, quick=True)
    yield lowrank_case(square(4096), 256, 64)
    yield lowrank_case(square(4096), 256, 8, threads=1)
    for model in MODELS:
        for count, r in [(1, 8), (1, 128)] + [(64, r) for r in RANKS]:
            case = lowrank_case(model, count, r, quick=model.name == "gpt2-c_attn" and r == 8)
            if case.bytes <= 2 * MOST_BYTES:
                yield case


def projection_cases() -> Iterator[Case]:
    for model in MODELS:
        for count, r in ((2, 8), (64, 8), (8, 64)):
            yield project_case(model, count, r, quick=model.name == "gpt2-c_attn" and count == 64)
        dense = max(1, int(MOST_BYTES / 2 / (4 * model.m * model.n)))
        yield project_dense_case(model, min(dense, 64), 8, quick=model.name == "gpt2-c_attn")
        yield project_dense_case(model, 1, 64)
    for count, r in ((4, 8), (1_000_000, 8), (100_000, 64)):
        yield spectra_case(count, r, quick=count == 1_000_000)


def sparse_cases() -> Iterator[Case]:
    for pairs, r in ((4, 8), (4_000_000, 8), (400_000, 64)):
        yield exact_case(pairs, r, quick=pairs == 4_000_000)
    for pairs, r in ((4, 8), (20_000, 8), (2_000, 64)):
        yield adam_case(pairs, r, quick=pairs == 20_000)
    yield exact_case(4_000_000, 8, threads=1)
    yield adam_case(20_000, 8, threads=1)
    yield algorithm1_case(BY_NAME["minilm-query"], 20_000, 8)
    yield algorithm1_case(square(1024), 20_000, 8)


def declared() -> dict[str, Case]:
    makers = (limit_cases, pairwise_cases, lowrank_cases, projection_cases, sparse_cases, peer_cases, real_cases)
    cases = [case for make in makers for case in make()]
    by_name = {case.name: case for case in cases}
    assert len(by_name) == len(cases), "two cases have one name"
    return by_name


CASES = declared()


def selected(only: str = "", *, quick: bool = False) -> list[Case]:
    """Cases whose name matches the regular expression ``only``, and the machine's limits."""
    wanted = re.compile(only)
    return [
        case
        for case in CASES.values()
        if case.function == "limit" or (wanted.search(case.name) and (case.quick or not quick))
    ]
