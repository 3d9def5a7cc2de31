"""Every value of a sweep against a dense fp64 loop, and what must not change it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import xarray as xr

from taskvec import TaskvecError, sweep
from taskvec.sweeps.options import DEFAULT as METRICS

ALL = (*METRICS, "lp")
P = 3.0
EPS = 2e-6  # bound on |d − reference| / ‖τ₂‖ of the kernels, docs/NUMERICS.md

SHAPES = {"h.0.q": (24, 16), "h.1.q": (24, 16), "h.0.v": (8, 16), "h.1.v": (8, 16), "wide": (5, 40)}


def dense(module) -> np.ndarray:
    b, a = (factor.double().numpy() for factor in module.update()[:2])
    return module.scale * b @ a


def entropy(s: np.ndarray, r: int) -> float:
    if s.sum() == 0:
        return math.nan
    share = s[s > 0] / s.sum()
    return 0.0 if r == 1 else float(-(share * np.log(share)).sum() / math.log(r))


def directions(tau: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    U, S, Vh = np.linalg.svd(tau, full_matrices=False)
    r = int((S[:rank] > 1e-12 * S[0]).sum()) if S[0] else 0
    return U[:, :r], S[:r], Vh[:r]


def sign_chance(S1: np.ndarray, d: np.ndarray, norm: float) -> tuple[float, float, float]:
    """Mean and deviation of REC over every pattern of signs of |d|, and what errors of EPS ‖τ₂‖ in d make of both."""
    if not S1.sum() or not d.any():
        return 0.0, 0.0, 0.0
    kept = np.array(list(itertools.product((0.0, 1.0), repeat=len(d)))) * np.abs(d)  # [2ʳ, r]
    total = kept.sum(-1, keepdims=True)
    shares = np.divide(kept, total, out=np.zeros_like(kept), where=total > 0)
    rec = np.minimum(S1 / S1.sum(), shares).sum(-1)
    moved = np.minimum(1, 2 * len(d) * EPS * norm / total[total > 0])
    return float(rec.mean()), float(rec.std()), float(np.sqrt(np.square(moved).sum() / len(kept)))


def slow_pair(source, target) -> dict[str, float]:
    """The definitions, for one module of one ordered pair, with τ formed."""
    tau1, tau2 = dense(source), dense(target)
    (U, S1, Vh), (U2, _, V2h) = directions(tau1, source.rank), directions(tau2, target.rank)
    r, norm = len(S1), np.linalg.norm(tau2)
    d = np.diag(U.T @ tau2 @ Vh.T)
    S2 = np.maximum(0, d)
    undefined = r == 0 or norm == 0
    ratio = (lambda value: math.nan) if undefined else (lambda value: float(value()))
    smaller = min(r, len(U2.T))
    chance = sign_chance(S1, d, norm)
    return {
        "l1": np.abs(S1 - S2).sum(),
        "l2": np.linalg.norm(S1 - S2),
        "linf": np.abs(S1 - S2).max(initial=0),
        "lp": (np.abs(S1 - S2) ** P).sum() ** (1 / P),
        "rec": np.minimum(S1 / S1.sum(), S2 / S2.sum()).sum() if S1.sum() and S2.sum() else 0.0,
        "entropy_projected": entropy(S2, r),
        "cosine": ratio(lambda: (tau1 * tau2).sum() / (np.linalg.norm(tau1) * norm)),
        "residual": ratio(lambda: np.linalg.norm((U * S2) @ Vh - tau2) / norm),
        "energy": ratio(lambda: (S2**2).sum() / norm**2),
        "excess": ratio(lambda: (d**2).sum() * tau2.size / (r * norm**2)),
        "overlap_u": ratio(lambda: np.linalg.norm(U.T @ U2) ** 2 / smaller),
        "overlap_v": ratio(lambda: np.linalg.norm(Vh @ V2h.T) ** 2 / smaller),
        "rec_chance": chance[0],
        "rec_chance_sd": chance[1],
        "captured": ratio(lambda: (np.linalg.norm(U.T @ tau2 @ Vh.T) / norm) ** 2),
        "captured_out": ratio(lambda: (np.linalg.norm(U.T @ tau2) / norm) ** 2),
        "captured_in": ratio(lambda: (np.linalg.norm(tau2 @ Vh.T) / norm) ** 2),
        # not results: what the bounds below need
        "r": r, "norm": norm, "norm1": np.linalg.norm(tau1), "sum2": S2.sum(), "size": tau2.size,
        "moved": chance[2],
    }  # fmt: skip


def bound(name: str, want: dict[str, float]) -> float:
    """What |d_k − exact| ≤ EPS ‖τ₂‖ and a relative error of 1e-6 in S₁ make of each metric; overlaps: 1e-5."""
    r = max(want["r"], 1)
    of_d, of_s1 = EPS * want["norm"], 1e-6 * want["norm1"]
    if name in ("l1", "l2", "linf", "lp"):
        return r * (of_d + of_s1)
    if name in ("rec", "entropy_projected"):
        # a share S₂ₖ/ΣS₂ moves by at most 2 r |Δd| / ΣS₂; entropy: by that times the log of it
        share = 2 * r * of_d / want["sum2"] if want["sum2"] else 0.0
        return min(1.0, (share + 1e-6) * (1 if name == "rec" else 20))
    if name in ("rec_chance", "rec_chance_sd"):
        return want["moved"] + 2e-6
    if name in ("cosine", "energy", "captured", "captured_out", "captured_in"):
        return 2 * math.sqrt(r) * EPS
    if name == "excess":
        return 2 * math.sqrt(r) * EPS * want["size"] / r
    if name == "residual":  # of its square
        return 4e-6
    return 1e-5


def check(dataset: xr.Dataset, zoo) -> None:
    for source in zoo:
        for target in zoo:
            for module in dataset.module.values:
                got = dataset.sel(module=module, source=source.name, target=target.name)
                if module not in source.modules or module not in target.modules:
                    assert all(np.isnan(got[name]) for name in METRICS)
                    continue
                want = slow_pair(source.modules[module], target.modules[module])
                if 0 < want["sum2"] < 1e-3 * want["norm"]:
                    continue  # REC and H jump where ΣS₂ → 0
                for name in dataset.data_vars.keys() & set(ALL):
                    power = 2 if name == "residual" else 1
                    value, exact = float(got[name]) ** power, float(want[name]) ** power
                    assert value == pytest.approx(exact, abs=bound(name, want), rel=2e-6, nan_ok=True), (
                        name, source.name, target.name, module,
                    )  # fmt: skip


@pytest.fixture
def zoo(adapter):
    """Mixed ranks, a module that one lacks, one that only one has, B = 0, a near copy, and its negative."""

    def spec(rank: int, *left_out: str):
        return {path: (*shape, rank) for path, shape in SHAPES.items() if path not in left_out}

    first = adapter("first", spec(4, "wide"), seed=1)
    factors = {path: module.update()[:2] for path, module in first.modules.items()}
    generator = torch.Generator().manual_seed(9)
    near = {path: (b + 0.1 * torch.randn(b.shape, generator=generator), a) for path, (b, a) in factors.items()}
    return [
        first,
        adapter("near", near),
        adapter("negative", {path: (-b, a) for path, (b, a) in near.items()}),
        adapter("rank1", spec(1, "h.1.v"), seed=2),
        adapter("rank7", spec(7, "wide"), seed=3),
        adapter("rank6", spec(6), seed=6),
        adapter("zero", {path: (0 * b, a) for path, (b, a) in factors.items()}),
        adapter("apart", {"other.0.q": (6, 6, 2)}, seed=4),
    ]


def test_every_pair_and_metric_against_the_dense_loop(zoo) -> None:
    dataset = sweep(zoo, metrics=ALL, p=P)
    assert dict(dataset.sizes) == {"module": 6, "source": 8, "target": 8, "component": 7}
    assert set(ALL) <= set(dataset.data_vars)
    check(dataset, zoo)


def test_values_of_one_adapter(zoo) -> None:
    dataset = sweep(zoo)
    for one in zoo:
        for module in dataset.module.values:
            got = dataset.sel(module=module, source=one.name)
            if module not in one.modules:
                assert all(np.isnan(got[name]).all() for name in ("entropy", "norm", "participation", "spectrum"))
                continue
            tau = dense(one.modules[module])
            _, S, _ = directions(tau, one.modules[module].rank)
            norm = np.linalg.norm(tau)
            np.testing.assert_allclose(got.spectrum, np.pad(S, (0, 7 - len(S))), atol=1e-6 * norm)
            assert float(got.norm) == pytest.approx(norm, rel=1e-6)
            assert float(got.entropy) == pytest.approx(entropy(S, len(S)), abs=2e-5, nan_ok=True)
            ratio = (S**2).sum() ** 2 / (S**4).sum() if norm else math.nan
            assert float(got.participation) == pytest.approx(ratio, rel=1e-5, nan_ok=True)


def test_zero_task_vectors_follow_the_rules(zoo) -> None:
    dataset = sweep(zoo).sel(module="h.0.q")
    of_zero = [dataset.sel(source="zero", target="first"), dataset.sel(source="first", target="zero")]
    for pair in of_zero:
        assert pair.rec == 0
        assert all(
            np.isnan(pair[name]) for name in ("cosine", "residual", "energy", "excess", "overlap_u", "overlap_v")
        )
    assert np.isnan(dataset.entropy.sel(source="zero"))
    assert all(pair.rec_chance == pair.rec_chance_sd == 0 for pair in of_zero)


def close(one: xr.Dataset, other: xr.Dataset) -> None:
    """Equal up to fp32 rounding; residual by its square, which is what does not cancel."""
    assert set(one.data_vars) == set(other.data_vars)
    for name in one.data_vars:
        a, b = ((ds[name] ** (2 if name == "residual" else 1)).values for ds in (one, other.reindex_like(one)))
        scale = np.nanmax(np.abs(a), initial=1.0)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5 * scale, err_msg=str(name))


def test_adding_adapters_changes_nothing_but_rounding(zoo) -> None:
    some = [zoo[0], zoo[1], zoo[4]]
    whole = sweep(zoo).sel(source=[a.name for a in some], target=[a.name for a in some])
    few = sweep(some)
    close(few, whole.sel(module=few.module))


def test_order_of_adapters_changes_nothing_but_the_order(zoo) -> None:
    forward, backward = sweep(zoo), sweep(zoo[::-1])
    assert list(forward.module.values) == list(backward.module.values)
    assert list(backward.source.values) == [one.name for one in zoo[::-1]]
    close(forward, backward)


@pytest.mark.parametrize("memory", [1, 5_000, 20_000])
def test_memory_changes_nothing_but_rounding(zoo, memory: int) -> None:
    close(sweep(zoo), sweep(zoo, memory=memory))


def test_twice_gives_the_same_bits(zoo) -> None:
    xr.testing.assert_identical(sweep(zoo), sweep(zoo))


def test_a_gauge_and_a_scale_moved_into_b_change_nothing(zoo, adapter) -> None:
    generator = torch.Generator().manual_seed(5)
    other = []
    for one in zoo:
        factors = {}
        for path, module in one.modules.items():
            b, a = (factor.double() for factor in module.update()[:2])
            G = torch.eye(module.rank, dtype=torch.float64) + 0.1 * torch.randn(
                module.rank, module.rank, generator=generator, dtype=torch.float64
            )
            factors[path] = (b @ G, torch.linalg.solve(G, a))
        other.append(adapter(one.name, factors))
    close(sweep(zoo), sweep(other))


def test_coordinates_and_attributes(zoo) -> None:
    dataset = sweep(zoo, precision="medium")
    assert list(dataset.module.values) == ["h.0.q", "h.0.v", "h.1.q", "h.1.v", "other.0.q", "wide"]
    assert dataset.layer.values.tolist() == [0, 0, 1, 1, 0, -1]
    assert dataset.kind.values.tolist() == ["q", "v", "q", "v", "q", "wide"]
    shapes = list(zip(dataset.rows.values.tolist(), dataset["columns"].values.tolist(), strict=True))
    assert shapes == [(24, 16), (8, 16), (24, 16), (8, 16), (6, 6), (5, 40)]
    attributes = dataset.attrs
    assert attributes["complete"] == 1 and attributes["keep"] == "all"
    assert attributes["precision"] == "medium"
    assert attributes["input_sha256"].split() == [one.digest for one in zoo]
    assert attributes["torch_version"] == torch.__version__
    assert attributes["warnings"] == "7 of 28 pairs of adapters share no module: their results are NaN\n"


def test_one_adapter_alone(zoo) -> None:
    dataset = sweep(zoo[:1])
    np.testing.assert_allclose(dataset.rec, 1, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"metrics": ["l3"]}, "'l3'"),
        ({"metrics": ["entropy"]}, "'entropy'"),
        ({"metrics": ["l1", "l1"]}, "twice"),
        ({"metrics": ["lp"]}, "p > 0"),
        ({"precision": "exact"}, "highest, high, medium"),
    ],
)
def test_wrong_options_are_one_clear_line(zoo, options, word: str) -> None:
    with pytest.raises(TaskvecError, match=word):
        sweep(zoo, **options)
