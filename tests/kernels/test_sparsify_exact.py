"""``sparsify`` with method="exact": the oracle against scipy.optimize, the kernel against the oracle, known answers."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from torch import Tensor

from taskvec_kernels import reference, sparsify
from taskvec_kernels.solver import NORMS

from . import test_properties  # noqa: F401  (its profile)
from .cases import DTYPES, name_of, random
from .compare import assert_same_bits, assert_sparse, output_dtype

LAMBDAS = (0.0, 1e-3, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0, 1.5, 2.0)
RESIDUALS = (0.0, 1e-4, 0.1, 1.0, 10.0)  # c / ‖d‖
RANKS = (1, 2, 3, 7, 8, 9, 16, 33, 64, 256, 300)


def pairs(count: int, k: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, Tensor]:
    """d, a fourth of it positive alone, and ‖τ‖ ≥ ‖d‖ with every size of residual."""
    d = random(count, k, seed=seed)
    d[::4] = d[::4].abs()
    d = d.to(dtype)
    c = torch.tensor(RESIDUALS, dtype=torch.float64)[torch.arange(count) % len(RESIDUALS)]
    length = d.double().norm(dim=-1)
    return d, (length * (1 + c.square()).sqrt()).to(output_dtype(d))


def solved(d: Tensor, tau_norm: Tensor, lam: Any, **options: Any) -> tuple[Tensor, Tensor]:
    S, info = sparsify(d, tau_norm, lam, return_info=True, **options)
    assert info.converged.all() and info.steps.dtype == torch.int64 and (info.steps >= 0).all()
    return S, info.objective


# --- the oracle itself


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_oracle_against_scipy(norm: str) -> None:
    """A solver that knows nothing of active sets: L-BFGS-B on the objective, from two starts."""
    for case in range(300):
        k = 1 + case % 6
        d, tau_norm = (t[case % 7].numpy() for t in pairs(7, k, seed=case))
        lam = LAMBDAS[case % len(LAMBDAS)]
        c2 = float(reference.residual_square(torch.from_numpy(d), torch.tensor(tau_norm)))

        def value(s: Any, d: Any = d, c2: float = c2, lam: float = lam) -> tuple[float, Any]:
            square = c2 + (s - d) @ (s - d)
            if norm == "squared":
                return square + lam * s.sum(), 2 * (s - d) + lam
            root = math.sqrt(square)
            return root + lam * s.sum(), (s - d) / max(root, 1e-300) + lam

        found = [
            scipy.optimize.minimize(value, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * k).fun
            for start in (np.maximum(d, 0) + 1e-3 * tau_norm, np.full(k, 0.3 * tau_norm))
        ]
        S, info = reference.sparsify(torch.from_numpy(d), torch.tensor(tau_norm), lam, norm=norm, return_info=True)
        best, size = float(info.objective), tau_norm ** (2 if norm == "squared" else 1)
        assert value(S.numpy())[0] == pytest.approx(best, rel=1e-12, abs=1e-12 * size)
        # where c is small the objective has a corner, at which L-BFGS-B stops early; it is never below the optimum
        assert best <= min(found) + 1e-9 * size
        if c2 > 1e-3 * size:
            assert min(found) <= best + 1e-5 * size, (case, d, tau_norm, lam)


def test_oracle_against_a_root_of_the_fixed_point() -> None:
    """f* on thousands of pairs by scipy's bracketing root finder, which sorts nothing and counts nothing."""
    for k in (1, 2, 5, 9):
        d, tau_norm = pairs(600, k, seed=k)
        lam = torch.tensor(LAMBDAS, dtype=torch.float64)[torch.arange(600) // 5 % len(LAMBDAS)]
        S = reference.sparsify(d, tau_norm, lam).numpy()
        for i, (one, length, weight) in enumerate(zip(d.numpy(), tau_norm.tolist(), lam.tolist(), strict=True)):
            c2 = length**2 - one @ one
            if c2 < 1e-9 * length**2 or weight == 0:
                continue

            def beyond(f: float, one: Any = one, c2: float = c2, weight: float = weight) -> float:
                s = np.maximum(0, one - weight * f)
                return f - math.sqrt(c2 + (s - one) @ (s - one))

            f = scipy.optimize.brentq(beyond, 0.0, 2 * length, xtol=1e-15 * length, rtol=1e-14)
            assert np.abs(S[i] - np.maximum(0, one - weight * f)).max() <= 1e-6 * length, (k, i)


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, 5, 17, 64])
def test_conditions_of_a_minimum(k: int) -> None:
    """Karush–Kuhn–Tucker: d_k − S_k = λ f where S_k > 0, d_k ≤ λ f where S_k = 0; the problem is convex."""
    d, tau_norm = pairs(2000, k, seed=k)
    for lam in LAMBDAS[1:]:
        S = reference.sparsify(d, tau_norm, lam)
        f = (reference.residual_square(d, tau_norm) + (S - d).square().sum(-1)).sqrt()[..., None]
        gap = d - S - lam * f
        # with c = 0 the distance may be 0, where the whole unit ball is subgradient: S = d, λ² k ≤ 1
        cone = (f <= 1e-7 * tau_norm[..., None]) & (lam**2 * (S > 0).sum(-1, keepdim=True) <= 1)
        size = 1e-7 * tau_norm[..., None]
        assert (((S > 0) & (gap.abs() <= size)) | ((S == 0) & (gap <= size)) | cone).all(), lam


# --- the kernel against the oracle


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("k", RANKS)
def test_accuracy(k: int, dtype: torch.dtype, norm: str) -> None:
    d, tau_norm = pairs(100, k, dtype, seed=k)
    lam = torch.tensor(LAMBDAS, dtype=torch.float64)[:, None]
    assert_sparse(*solved(d, tau_norm, lam, norm=norm), d, tau_norm, lam, norm)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
@pytest.mark.parametrize("k", [1, 4, 9, 64])
def test_lambda_close_to_where_a_set_becomes_too_large(k: int, dtype: torch.dtype) -> None:
    """λ² n within rounding of 1 for every n: S is ill-conditioned there, the objective never."""
    d, tau_norm = pairs(100, k, dtype)
    sizes = torch.arange(1, k + 1, max(1, k // 8), dtype=torch.float64)
    off = torch.tensor([-1e-3, -1e-9, -1e-15, 0.0, 1e-15, 1e-9, 1e-3], dtype=torch.float64)
    lam = ((1 + off[:, None]) / sizes.sqrt())[..., None]
    assert_sparse(*solved(d, tau_norm, lam), d, tau_norm, lam)


def test_the_bound_says_something() -> None:
    """Of pairs with a residual nearly all have an S that is known to a millionth, and all an objective."""
    from . import bounds
    from .compare import sparse_case

    d, tau_norm = pairs(2000, 8, torch.float32)
    known = d.double().norm(dim=-1) * 1.01 < tau_norm.double()
    for lam in LAMBDAS:
        c, best = sparse_case(d, tau_norm, lam)
        assert (bounds.sparse(c).amax(-1) < 1e-6 * tau_norm)[known].double().mean() > 0.99
        assert (bounds.sparse_objective(c, best) < 1e-6 * tau_norm * (1 + lam))[known].all()


# --- answers that are known


# d, ‖τ₂‖, λ, S and f: all of it exact in binary
KNOWN: dict[str, tuple[list[float], float, float, list[float], float]] = {
    "contained, λ = 1 is a tie and keeps the larger set": ([4], 4, 1, [4], 4),
    "contained, four directions, λ² n = 1": ([1, 1, 1, 1], 2, 0.5, [1, 1, 1, 1], 2),
    "contained, λ² n < 1": ([3, 4], 5, 0.5, [3, 4], 3.5),
    "contained, λ² n > 1 for all, 1 for one: nothing stays": ([1, 1, 1, 1], 2, 1, [0, 0, 0, 0], 2),
    "contained but for a negative one, λ = ½": ([2, -1.5], 2.5, 0.5, [2 - 0.75**0.5, 0], 1 + 0.75**0.5 * 1.5),
    "λ = 1 with a residual": ([4], 5, 1, [0], 5),
    "λ = 2": ([4], 5, 2, [0], 5),
    "λ = 0.6, one of two": ([8, 0.0], 80 / 8, 0.6, [8 - 0.6 * 7.5, 0], 7.5 + 0.6 * 3.5),
    "all negative": ([-1, -2], 3, 0.5, [0, 0], 3),
    "zeros": ([0, 0], 1, 0.5, [0, 0], 1),
    "no target": ([0, 0], 0, 0.5, [0, 0], 0),
    "a tie of two, one too many": ([2, 2], 8**0.5, 1.0, [0, 0], 8**0.5),
}


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case: str, backend: str) -> None:
    d, tau_norm, lam, want, value = KNOWN[case]
    for dtype in (torch.float64, torch.float32):
        S, objective = solved(torch.tensor(d, dtype=dtype), torch.tensor(tau_norm, dtype=dtype), lam, backend=backend)
        close = 1e-14 if dtype == torch.float64 else 4e-7
        assert S.tolist() == pytest.approx(want, rel=close, abs=0), case
        assert objective.item() == pytest.approx(value, rel=close)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_contained_tasks_are_found_to_the_bit(backend: str) -> None:
    """c² = 0 exactly: S = d as long as λ² k ≤ 1, and 0 where λ² n > 1 for equal d."""
    for k in (1, 4, 16, 64):
        d = torch.full((k,), 2.0)
        tau_norm = torch.tensor(2 * math.sqrt(k))
        for lam in (0.0, 0.25 / math.sqrt(k), 1 / math.sqrt(k)):
            assert torch.equal(sparsify(d, tau_norm, lam, backend=backend), d), (k, lam)
        assert not sparsify(d, tau_norm, 2 / math.sqrt(k), backend=backend).any()


def test_contained_with_an_order() -> None:
    """c = 0, λ² k > 1: the smaller ones go, and what is left pays for them alone."""
    d = torch.tensor([12.0, 3.0, 4.0], dtype=torch.float64)  # ‖d‖ = 13
    S = sparsify(d, torch.tensor(13.0, dtype=torch.float64), 0.75)
    f = math.sqrt(25 / (1 - 0.5625))
    assert S[1:].tolist() == [0, 0] and S[0].item() == pytest.approx(12 - 0.75 * f, rel=1e-14)


def test_squared_is_the_soft_threshold() -> None:
    d = torch.tensor([3.0, 1.0, 0.25, -2.0])
    S, objective = solved(d, torch.tensor(4.0), 1.0, norm="squared")
    assert S.tolist() == [2.5, 0.5, 0, 0]
    assert objective.item() == 16 - 14.0625 + 0.25 + 0.25 + 0.0625 + 4 + 3
    assert not sparsify(d, torch.tensor(4.0), 6.0, norm="squared").any()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_lambda_zero_is_the_closed_form(dtype: torch.dtype, norm: str) -> None:
    """To the bit, NaN, infinities and signed zeros included: exactly what ``project`` clips to."""
    d, tau_norm = pairs(100, 9, dtype)
    d[3, 1], d[4, 2], d[5, 3], d[6, :2] = math.nan, math.inf, -math.inf, torch.tensor([0.0, -0.0])
    got = sparsify(d, tau_norm, 0.0, norm=norm, check=False)
    want = d.to(got.dtype).clamp(min=0)
    assert_same_bits(got, want)
    finite = ~got.isnan()
    assert torch.equal(got.signbit()[finite], want.signbit()[finite])
    assert_same_bits(sparsify(d, tau_norm, [1.0, 0.0], norm=norm, check=False)[1], want)


# --- sizes, and what is no number


@pytest.mark.parametrize("size", [2.0**-100, 2.0**-60, 2.0**60, 2.0**100])
def test_sizes(size: float) -> None:
    """A power of two changes no bit; fp32 goes anywhere, for it is squared in fp64."""
    for dtype in (torch.float32, torch.float64):
        d, tau_norm = pairs(50, 7, dtype)
        for lam in LAMBDAS:
            S, objective = solved(d, tau_norm, lam)
            other = solved(d * size, tau_norm * size, lam)
            assert_same_bits(other, (S * size, objective * size))


def test_the_ends_of_fp32() -> None:
    tiny, huge = 2.0**-149, 2.0**127
    for size in (tiny * 64, huge / 4):
        d = torch.tensor([2.0, 1.0, -1.0]) * size
        S, objective = solved(d, torch.tensor(2.5) * size, 0.5)
        assert S.isfinite().all() and objective.isfinite() and S[0] > 0


@pytest.mark.parametrize("lam", [0.5, 1.5])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", [0, 7, 16])
@pytest.mark.parametrize("norm", NORMS)
def test_not_finite_spoils_its_own_pair_alone(norm: str, where: int, bad: float, lam: float) -> None:
    d, tau_norm = pairs(17, 5, torch.float32)
    good = solved(d, tau_norm, lam, norm=norm)
    others = torch.arange(17) != where
    for given_d, given_tau in ((spoiled(d, (where, 2), bad), tau_norm), (d, spoiled(tau_norm, (where,), abs(bad)))):
        for backend in ("cpu", "reference"):
            S, objective = solved(given_d, given_tau, lam, norm=norm, check=False, backend=backend)
            if backend == "cpu":
                assert_same_bits((S[others], objective[others]), (good[0][others], good[1][others]))
            if math.isnan(bad):
                # the soft threshold is element by element, and needs no ‖τ₂‖
                assert objective[where].isnan() and (norm == "squared" or S[where].isnan().all())
            else:
                assert not objective[where].isfinite()


def spoiled(t: Tensor, index: tuple[int, ...], value: float) -> Tensor:
    t = t.clone()
    t[index] = value
    return t


# --- algebra, on whatever hypothesis finds

QUARTERS = st.integers(-12, 12).map(lambda i: i / 4)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    d = torch.from_numpy(draw(arrays.arrays("float64", st.integers(1, 9), elements=QUARTERS)))
    return d, d.norm() + draw(st.sampled_from([0.0, 0.0, 1e-9, 0.25, 8.0]))


@given(problems(), st.lists(st.floats(0, 3), min_size=2, max_size=6))
def test_more_weight_means_less_spectrum(problem: tuple[Tensor, Tensor], lams: list[float]) -> None:
    """ΣS falls, the distance grows, and the optimum grows, with λ; S is in [0, max(0, d)]."""
    d, tau_norm = problem
    S, objective = solved(d, tau_norm, sorted(lams))
    small = 1e-7 * (1 + float(tau_norm)) * len(d)
    assert (S >= 0).all() and (S <= d.clamp(min=0)).all()
    assert (S.sum(-1).diff() <= small).all() and ((S - d).norm(dim=-1).diff() >= -small).all()
    assert (objective.diff() >= -small).all() and (objective <= tau_norm + small).all()


@given(problems(), st.floats(0, 3), st.integers(-30, 30))
def test_scale(problem: tuple[Tensor, Tensor], lam: float, exponent: int) -> None:
    d, tau_norm = problem
    size = 2.0**exponent
    assert_same_bits(sparsify(d * size, tau_norm * size, lam), sparsify(d, tau_norm, lam) * size)


@given(problems(), st.floats(0, 3), st.randoms(use_true_random=False))
def test_order(problem: tuple[Tensor, Tensor], lam: float, shuffle: Any) -> None:
    """S of a permuted d is the permuted S, and equal d have equal S."""
    d, tau_norm = problem
    order = list(range(len(d)))
    shuffle.shuffle(order)
    assert_sparse(*solved(d[order], tau_norm, lam), d[order], tau_norm, lam)
    S = sparsify(d, tau_norm, lam)
    # squares of quarters add up without rounding in any order, and d alone decides all but √ of them
    assert_same_bits(sparsify(d[order], tau_norm, lam), S[order])
    assert all(S[i] == S[j] for i in range(len(d)) for j in range(i) if d[i] == d[j])


@given(problems(), st.floats(0, 3), st.data())
def test_no_other_spectrum_is_better(problem: tuple[Tensor, Tensor], lam: float, data: st.DataObject) -> None:
    d, tau_norm = problem
    other = torch.from_numpy(data.draw(arrays.arrays("float64", len(d), elements=QUARTERS))).abs()
    for norm in NORMS:
        best = solved(d, tau_norm, lam, norm=norm)[1]
        weight = torch.tensor(lam, dtype=torch.float64)
        assert best <= reference.objective(other, d, tau_norm, weight, norm) + 1e-7 * (1 + float(tau_norm)) ** 2
