"""Every case, declared once. Adding one is adding a line here, or a function that makes it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from .case import Case
from .commands import sweep_case
from .ingest import ingest_case
from .inputs import BY_NAME, MODELS, Model, square
from .limits import LIMIT, limit_cases
from .loading import load_case
from .lowrank import lowrank_case
from .pairs import inclusion_case, pairwise_case
from .peers import peer_case
from .projections import project_case, project_dense_case, spectra_case
from .ranking import ranking_case
from .real import real_cases
from .sparse import ADAM_VARIANT, algorithm1_case, fused_case, sparsify_case

N_OF_ZOOS, RANKS = (2, 8, 64, 256, 1024), (4, 8, 16, 64, 128)
# of one call: half a second on two cores, and inputs that fit beside everyone's copies
MOST_FLOP, MOST_BYTES = 60e9, 3e8


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
    yield pairwise_case(square(4096), 256, 8, threads=1)
    yield fused_case(square(4096), 256, 8, quick=True)
    yield inclusion_case(square(1024), 256, 8, quick=True)
    yield inclusion_case(square(4096), 128, 8)
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
        yield sparsify_case("exact", pairs, r, quick=pairs == 4_000_000)
    for pairs, r in ((4, 8), (20_000, 8), (2_000, 64)):
        yield sparsify_case(ADAM_VARIANT, pairs, r, quick=pairs == 20_000)
    yield sparsify_case("exact", 4_000_000, 8, threads=1)
    yield sparsify_case(ADAM_VARIANT, 20_000, 8, threads=1)
    yield algorithm1_case(BY_NAME["minilm-query"], 20_000, 8)
    yield algorithm1_case(square(1024), 20_000, 8)


def peer_cases() -> Iterator[Case]:
    yield peer_case(BY_NAME["gpt2-c_attn"], 8, 8, quick=True)
    yield peer_case(BY_NAME["gpt2-c_attn"], 64, 8)
    yield peer_case(BY_NAME["llama3-mistral-query"], 8, 16)


def loading_cases() -> Iterator[Case]:
    small = Model("small-q_proj", 64, 64, 12)
    yield load_case(small, 1_000, 8, quick=True)
    yield load_case(small, 10_000, 8)
    yield load_case(Model("square-1024", 1024, 1024, 16), 1_000, 8)


def ingest_cases() -> Iterator[Case]:
    yield ingest_case(Model("1024x1024", 1024, 1024, 16), 200, 8, quick=True)
    yield ingest_case(Model("1024x1024", 1024, 1024, 16), 1_000, 8)
    yield ingest_case(Model("small-q_proj", 64, 64, 12), 10_000, 8)


def ranking_cases() -> Iterator[Case]:
    for adapters in (250, 1_000, 4_000):
        yield ranking_case(adapters, quick=adapters == 1_000)


def command_cases() -> Iterator[Case]:
    yield sweep_case(Model("small-c_attn", 2304, 768, 12), 26, 8, quick=True)


def gpu_cases() -> Iterator[Case]:
    """In the order of what is promised of them: the time on a GPU may end before they do."""
    for adapters, m, r, modules in ((2048, 4096, 16, 1), (2048, 768, 8, 1), (64, 4096, 16, 224)):
        yield pairwise_case(square(m), adapters, r, modules=modules, device="cuda", quick=True)
    for adapters, m, r in ((2048, 1024, 8), (1024, 4096, 16), (1024, 4096, 32), (512, 4096, 64)):
        yield inclusion_case(square(m), adapters, r, device="cuda")
    for count, r, few in ((4096, 16, 512), (4096, 8, 0), (1024, 64, 64), (256, 128, 0), (1, 16, 0)):
        yield lowrank_case(square(4096), count, r, few=few, device="cuda", quick=few == 512)
    yield lowrank_case(square(4096), 4096, 16, dtype=torch.bfloat16, device="cuda")
    for dtype in (torch.float32, torch.bfloat16):
        yield project_dense_case(square(4096), 64, 16, dtype=dtype, device="cuda", quick=True)
    yield project_case(square(4096), 1024, 16, device="cuda")
    yield sparsify_case("exact", 10_000_000, 8, device="cuda", quick=True)
    yield sparsify_case(ADAM_VARIANT, 1_000_000, 8, device="cuda", quick=True)
    yield spectra_case(10_000_000, 8, device="cuda")


def declared() -> Iterator[Case]:
    for threads in (None, 1):
        yield from limit_cases("cpu", threads)
    yield from limit_cases("cuda")
    for make in (
        pairwise_cases,
        lowrank_cases,
        projection_cases,
        sparse_cases,
        peer_cases,
        loading_cases,
        ingest_cases,
        ranking_cases,
        command_cases,
        gpu_cases,
    ):
        yield from make()
    yield from real_cases()


CASES: dict[str, Case] = {}
for _case in declared():
    assert _case.name not in CASES, f"two cases are named {_case.name}"
    CASES[_case.name] = _case


def selected(only: str = "", quick: bool = False, device: str = "cpu") -> list[Case]:
    """The device's limits, and its cases whose name matches the regular expression ``only``."""
    wanted = re.compile(only)
    cases = [case for case in CASES.values() if case.device == device]
    return [
        case for case in cases if case.function == LIMIT or (wanted.search(case.name) and (case.quick or not quick))
    ]


def pairs(only: str, quick: bool, device: str, ours: bool = False) -> list[tuple[str, str]]:
    """Names of the ``selected`` cases with each of their providers; or with ours alone, without the limits."""
    found = [(case.name, provider) for case in selected(only, quick, device) for provider in case.providers]
    return [(case, provider) for case, provider in found if provider.startswith("ours/") or not ours]
