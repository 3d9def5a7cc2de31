"""Every way to do a case is compared with a reference that refuses a wrong result."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch

from taskvec_bench.cases import CASES, LIMIT, pairs, selected
from taskvec_bench.cases.case import Case, close, threads
from taskvec_bench.cases.commands import sweep_case
from taskvec_bench.cases.ingest import ingest_case
from taskvec_bench.cases.inputs import Model, factors
from taskvec_bench.cases.loading import load_case
from taskvec_bench.cases.lowrank import lowrank_case
from taskvec_bench.cases.pairs import inclusion_case, pairwise_case
from taskvec_bench.cases.peers import FEW, PEERS, peer_case
from taskvec_bench.cases.projections import project_case, project_dense_case, spectra_case
from taskvec_bench.cases.ranking import ranking_case
from taskvec_bench.cases.sparse import ADAM_VARIANT, algorithm1_case, fused_case, sparsify_case


def ours_alone(case: Case) -> Case:
    """On the CPU torch has no QR of bfloat16."""
    return dataclasses.replace(case, providers={"ours/cpu": case.providers["ours/cpu"]})


ADAPTERS, MODULES = FEW + 2, 3  # more of both than a peer is given
TINY = Model("tiny", 40, 24, MODULES)
# one of each kind, small
KINDS = [
    pairwise_case(TINY, ADAPTERS, 4, modules=MODULES),
    pairwise_case(TINY, 2, 4),
    fused_case(TINY, ADAPTERS, 4),
    inclusion_case(TINY, ADAPTERS, 4),
    lowrank_case(TINY, 3, 4),
    ours_alone(lowrank_case(TINY, 3, 4, dtype=torch.bfloat16)),
    project_case(TINY, 3, 4),
    project_dense_case(TINY, 3, 4),
    project_dense_case(TINY, 3, 4, dtype=torch.bfloat16),
    spectra_case(50, 4),
    sparsify_case("exact", 50, 4),
    sparsify_case(ADAM_VARIANT, 50, 4),
    algorithm1_case(TINY, 3, 4),
    load_case(TINY, 3, 4),
    ingest_case(TINY, 3, 4),
    ranking_case(30),
    sweep_case(TINY, 3, 4),
    peer_case(TINY, ADAPTERS, 4),
]


def spoilt(result: Any, truth: Any) -> Iterator[Any]:
    """``result`` with one of its tensors wrong; of a mapping each that ``truth`` speaks of."""
    if torch.is_tensor(result):
        yield result + 0.3
    elif isinstance(result, Mapping):
        yield from ({**result, name: result[name] + 0.3} for name in truth)
    else:
        yield from ([t + 0.3 if k == wrong else t for k, t in enumerate(result)] for wrong in range(len(result)))


@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.name.replace("λ", "lam"))
def test_what_a_provider_gives_is_the_reference_and_what_is_wrong_is_refused(case) -> None:
    inputs = case.inputs()
    for way in case.providers.values():
        if not way.missing():
            truth, agrees = (way.truth or case.truth)(inputs), way.agrees or case.agrees
            result = way.run(way.prepare(inputs))
            agrees(result, truth)
            for wrong in spoilt(result, truth):
                with pytest.raises(AssertionError):
                    agrees(wrong, truth)


def test_every_case_of_the_registry_is_of_these_kinds_and_has_ours() -> None:
    kinds = {(case.function, case.variant) for case in KINDS} | {("sweep", "real adapters")}
    declared = [case for case in CASES.values() if case.function != LIMIT]
    assert {(case.function, case.variant) for case in declared} <= kinds
    assert all(any(name.startswith("ours/") for name in case.providers) for case in declared)
    assert len([case for case in declared if case.device == "cpu" and case.function != "sweep"]) == 196
    assert all(way.truth for case in declared for way in case.providers.values() if way.computes)


def test_the_limits_are_always_there_and_a_name_selects() -> None:
    assert {case.function for case in selected("no such case")} == {LIMIT}
    assert [case.name for case in selected("compare_spectra N=4 ") if case.function != LIMIT] == [
        "compare_spectra N=4 r=8"
    ]
    assert all(case.quick for case in selected(quick=True))
    assert {case.device for case in selected(device="cuda")} == {"cuda"}
    assert pairs("compare_spectra N=4 ", False, "cpu", ours=True) == [("compare_spectra N=4 r=8", "ours/cpu")]


@pytest.mark.parametrize(
    ("value", "words"), [([1.0, 2.1], "at index"), ([1.0, math.nan], "l1 .*nan"), ([1.0], "shape"), (None, "l1")]
)
def test_disagreement_says_where(value, words) -> None:
    result = {} if value is None else {"l1": torch.tensor(value)}
    with pytest.raises((AssertionError, KeyError), match=words):
        close(result, {"l1": torch.tensor([1.0, 2.0], dtype=torch.float64)})


def test_nan_agrees_with_nan_alone() -> None:
    nan = torch.tensor([math.nan])
    close(nan, nan)
    with pytest.raises(AssertionError):
        close(torch.zeros(1), nan)


def test_threads_are_those_of_the_case_and_then_as_before() -> None:
    before = torch.get_num_threads()
    with threads(1) as count:
        assert count == torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


# peers


@pytest.mark.parametrize("name", PEERS)
def test_part_is_the_share_of_pairs_in_the_result(name) -> None:
    way, peer = KINDS[-1].providers[name], PEERS[name]
    assert way.computes and way.truth and way.needs
    few = peer.few or ADAPTERS
    assert way.part == pytest.approx(few * (few - 1) / (ADAPTERS * (ADAPTERS - 1) * (1 if peer.whole else MODULES)))


def test_a_zoo_too_large_for_dense_task_vectors_is_not_given_to_peft() -> None:
    assert "peft/dense" in peer_case(Model("fits", 1024, 1024, 1), 64, 4).providers
    assert "peft/dense" not in peer_case(Model("large", 4096, 4096, 1), 64, 4).providers


@pytest.fixture(scope="module")
def gauge():
    """An adapter and the same one as (b·G, Gᵀ·a), G orthogonal: both have one task vector."""
    b, a = factors((1,), 96, 64, 8)
    G, _ = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    return torch.stack([b, (b.double() @ G).float()], 1), torch.stack([a, (G.mT @ a.double()).float()], 1), 0.01


@pytest.mark.parametrize("name", KINDS[-1].providers)
def test_who_sees_the_gauge(gauge, name) -> None:
    way = peer_case(Model("two", 96, 64, 1), 2, 8).providers[name]
    if way.missing():
        pytest.skip(f"{way.needs} is not installed: the peers have it")
    result = way.run(way.prepare(gauge))
    cosine = float(result.get("cosine", result.get("directional_agreement"))[..., 0, 1])
    assert abs(cosine) < 0.5 if name == "vlora" else cosine == pytest.approx(1, abs=1e-6)


def test_the_formula_of_concatenated_factors_sees_the_gauge_without_vlora_too(gauge) -> None:
    assert abs(PEERS["vlora"].truth(*gauge)["cosine"][0, 0, 1]) < 0.5
    assert PEERS["peft/dense"].truth(*gauge)["cosine"][0, 0, 1] == pytest.approx(1, abs=1e-6)
