"""Peers from PyPI: each computes what its row claims, a wrong result gets no row, and the gauge tells them apart."""

import dataclasses

import pytest
import torch

from taskvec_bench.case import DisagreementError
from taskvec_bench.peers import FEW, PEERS, gauge_report, peer_case
from taskvec_bench.shapes import Model

ADAPTERS, MODULES = FEW + 2, 3  # more of both than a peer is given
CASE = peer_case(Model("tiny", 40, 24, MODULES), ADAPTERS, 4)
INVARIANT = [name for name in ("ours/cpu", "torch/qr and panels", *PEERS) if name != "vlora"]


@pytest.fixture(scope="module")
def zoo():
    return CASE.inputs()


def installed(name):
    way = CASE.providers[name]
    if way.missing():
        pytest.skip(f"{way.missing()} is not installed: `make bench` installs it")
    return way


@pytest.mark.parametrize("name", CASE.providers)
def test_what_a_provider_gives_is_its_formula_in_fp64(zoo, name):
    way = installed(name)
    result, truth = way.run(zoo), (way.truth or CASE.truth)(zoo)
    (way.agrees or CASE.agrees)(result, truth)
    for metric in result:
        wrong = {key: t.clone() for key, t in result.items()}
        wrong[metric][..., 1, 0] += 1e-3
        with pytest.raises(DisagreementError, match=metric):
            (way.agrees or CASE.agrees)(wrong, truth)


def test_what_a_peer_gives_alone_has_a_description_and_a_truth():
    for name in PEERS:
        way = CASE.providers[name]
        assert way.computes and way.truth is not None and way.needs


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("gradience", FEW * (FEW - 1) / (MODULES * ADAPTERS * (ADAPTERS - 1))),
        ("gradience, one thread", FEW * (FEW - 1) / (MODULES * ADAPTERS * (ADAPTERS - 1))),
        ("adaptersentry/delta_cosine", FEW * (FEW - 1) / (MODULES * ADAPTERS * (ADAPTERS - 1))),
        ("adaptersentry/norms kept", 1 / MODULES),
        ("peft/dense", 1 / MODULES),
        ("vlora", 1),
    ],
)
def test_part_is_the_share_of_pairs_in_the_result(zoo, name, calls):
    way = CASE.providers[name]
    assert way.part == pytest.approx(calls)
    result = next(iter(installed(name).run(zoo).values()))
    given = len(result) * (len(result) - 1)  # the diagonal is no call
    whole = ADAPTERS * (ADAPTERS - 1) * (1 if name == "vlora" else MODULES)
    assert given / whole == pytest.approx(way.part)


def test_a_zoo_too_large_for_dense_task_vectors_is_not_given_to_peft():
    assert "peft/dense" in peer_case(Model("fits", 1024, 1024, 1), 64, 4).providers
    assert "peft/dense" not in peer_case(Model("large", 4096, 4096, 1), 64, 4).providers


def test_a_version_that_does_not_fit_is_refused_and_the_others_go_on(monkeypatch):
    def job(zoo):
        raise ImportError("no module of that name")

    broken = dataclasses.replace(PEERS["peft/dense"], job=job, needs="torch")
    monkeypatch.setitem(PEERS, "peft/dense", broken)
    case = peer_case(Model("tiny", 40, 24, 1), 3, 4)
    zoo = case.inputs()
    with pytest.raises(DisagreementError, match="peft/dense cannot be used as it is installed: no module of that name"):
        case.providers["peft/dense"].run(zoo)
    case.agrees(case.providers["ours/cpu"].run(zoo), case.truth(zoo))
    assert "peft/dense" not in gauge_report()


def test_one_thread_is_for_one_peer_alone(zoo):
    before = torch.get_num_threads()
    installed("gradience, one thread").run(zoo)
    assert torch.get_num_threads() == before


@pytest.fixture(scope="module")
def gauge():
    return gauge_report()


@pytest.mark.parametrize("name", INVARIANT)
def test_a_function_of_the_task_vector_does_not_see_the_gauge(gauge, name):
    installed(name)
    assert gauge[name] == pytest.approx(1, abs=1e-6)


def test_a_cosine_of_factors_sees_nothing_but_the_gauge(gauge):
    installed("vlora")
    assert abs(gauge["vlora"]) < 0.5


def test_the_formula_of_concatenated_factors_depends_on_the_gauge_without_vlora_too(zoo):
    G, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))
    same = type(zoo)(
        torch.cat([zoo.b[:, :1], zoo.b[:, :1] @ G], 1), torch.cat([zoo.a[:, :1], G.mT @ zoo.a[:, :1]], 1), 1
    )
    assert abs(PEERS["vlora"].truth(same)["cosine"][0, 0, 1]) < 0.5
    assert PEERS["peft/dense"].truth(same)["cosine"][0, 0, 1] == pytest.approx(1, abs=1e-6)
