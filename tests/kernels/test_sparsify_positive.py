"""How Adam keeps S ≥ 0: the oracle against torch.optim.Adam on dense matrices, the kernel against it, and its ends."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from taskvec_kernels import Solver, compare_spectra, pairwise, reference, seeding, sparsify
from taskvec_kernels.solver import NORMS, POSITIVES, STARTS, UNITS

from . import bounds
from .cases import name_of, orthonormal, random, zoo
from .compare import assert_same_bits, assert_within
from .test_sparsify_adam import LAMBDAS, pairs, run

MAPS = {"softplus": lambda x: functional.softplus(x, threshold=1e9), "exp": torch.exp, "abs": torch.abs}
INVERSES = {"softplus": lambda s: s + (-(-s).expm1()).log(), "exp": torch.log, "abs": lambda s: s}
WAYS = [(positive, start) for positive in MAPS for start in STARTS if (positive, start) != ("abs", "zeros")]


def weights(start: str) -> tuple[float, ...]:
    """At the closed form the gradient without λ is rounding alone, which Adam makes steps of."""
    return (0.05, 0.4, 1.0) if start == "closed_form" else (0.0, 0.4, 1.0)


# --- the oracle


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("positive, start", WAYS)
def test_oracle_against_torch(positive: str, start: str, norm: str, units: str) -> None:
    """S = unit · g(x) on m × n matrices, by torch's own optimiser and derivatives."""
    U, V = orthonormal(12, 5), orthonormal(13, 5, seed=1)
    tau = 3 * U * torch.tensor([2.0, 1, 1, 0.5, -1]) @ V.mT + 0.3 * random(12, 13, seed=2)
    d, tau_norm = torch.diagonal(U.mT @ tau @ V), torch.linalg.matrix_norm(tau)
    unit, seed = tau_norm if units == "tau" else 1.0, torch.tensor(11)
    least = 0 if positive == "abs" else 2.0**-10
    first = {
        "closed_form": INVERSES[positive](torch.maximum(d, least * tau_norm) / unit),
        "zeros": torch.zeros_like(d),
        "normal": seeding.normal(seed, 5),
    }[start]
    for lam in weights(start):
        for steps in (1, 3, 50):
            x = first.clone().requires_grad_()
            optimiser = torch.optim.Adam([x], lr=0.05)
            for _ in range(steps):
                optimiser.zero_grad()
                S = unit * MAPS[positive](x)
                distance = torch.linalg.matrix_norm(U * S @ V.mT - tau)
                loss = (distance if norm == "frobenius" else distance.square()) + lam * S.sum()
                (loss / unit).backward()  # in units of S, as eps is
                optimiser.step()
            got = reference.sparsify(
                d, tau_norm, lam, method="adam", positive=positive, norm=norm, seed=seed, lr=0.05, steps=steps,
                start=start, units=units, schedule="constant",
            )  # fmt: skip
            want = unit * MAPS[positive](x.detach())
            assert_within(f"S after {steps}", got, want, 1e-9 * float(tau_norm + want.max()))


@pytest.mark.parametrize("start", STARTS)
def test_clip_is_the_formula_bit_for_bit(start: str) -> None:
    d, tau_norm = pairs(7, 5)
    draws = seeding.normal(torch.arange(7), 5)
    S = {"closed_form": d, "zeros": 0 * d, "normal": tau_norm[:, None] * draws}[start].clamp(min=0)
    mean = variance = torch.zeros_like(S)
    rest = (tau_norm.square() - d.square().sum(-1)).clamp(min=0)
    for step in range(1, 21):
        distance = (rest + (S - d).square().sum(-1)).sqrt()[:, None]
        gradient = (S - d) / distance + 0.3
        mean = 0.9 * mean + (1 - 0.9) * gradient
        variance = 0.999 * variance + (1 - 0.999) * gradient.square()
        rate = 0.1 * tau_norm[:, None] / (1 - 0.9**step) * (1 - (step - 1) / 20)
        S = (S - rate * mean / (variance.sqrt() / (1 - 0.999**step) ** 0.5 + 1e-8)).clamp(min=0)
    options = {"steps": 20, "start": start, "seed": torch.arange(7)}
    assert_same_bits(reference.sparsify(d, tau_norm, 0.3, method="adam", **options), S)
    assert_same_bits(run(d, tau_norm, 0.3, **options), run(d, tau_norm, 0.3, positive="clip", **options))


# --- the kernel against the oracle


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("positive, start", WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_first_steps(dtype: torch.dtype, positive: str, start: str, norm: str, units: str) -> None:
    options = {"positive": positive, "start": start, "norm": norm, "units": units, "seed": torch.arange(19)}
    for k in (1, 8, 33):
        d, tau_norm = pairs(19, k, dtype)
        for lam in weights(start):
            for steps in (1, 2, 10):
                S, info = run(d, tau_norm, lam, steps=steps, **options)
                want = reference.sparsify(d, tau_norm, lam, method="adam", steps=steps, **options)
                size = (want.amax(-1) + tau_norm + (0 if units == "tau" else 1)).double()
                assert_within("S", S, want, bounds.adam_steps(dtype, steps) * size[..., None])
                assert S.dtype == info.objective.dtype == dtype and (info.steps == steps).all()


@pytest.mark.parametrize("positive", POSITIVES)
def test_pairwise_by_a_solver(positive: str) -> None:
    x, y = zoo(5, 19, 21, 5, dtype=torch.float64), zoo(4, 19, 21, 3, dtype=torch.float64, seed=10)
    seed = torch.arange(5), torch.arange(100, 104)
    solver = Solver([0.1, 0.4], "adam", positive=positive, start="normal", steps=10)
    options: dict[str, Any] = {"metrics": ("l1", "rec"), "spectra": True, "solver": solver, "seed": seed}
    got, want = pairwise(x, y, **options), reference.pairwise(x, y, **options)
    for one, other in zip(got, want, strict=True):
        assert one is not None and other is not None
        for name in ("spectra", "l1", "rec"):
            assert_within(name, one[name], other[name], 1e-10 * float(x.S.max() + y.S.max()))


# --- where they end


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
@pytest.mark.parametrize("positive, start", WAYS)
def test_each_reaches_a_minimum_inside(positive: str, start: str, dtype: torch.dtype) -> None:
    """No S_k of the minimum is 0: all of it within 1e-5 ‖τ‖."""
    d = 0.5 + random(9, 8).abs()
    tau_norm = 1.2 * d.norm(dim=-1)
    best, of_best = sparsify(d, tau_norm, 0.1, return_info=True)
    assert (best > 0.02 * tau_norm[:, None]).all()
    S, info = run(d.to(dtype), tau_norm.to(dtype), 0.1, positive=positive, start=start, steps=10_000, seed=3)
    assert_within("S", S, best, 1e-5 * tau_norm[:, None])
    assert_within("objective", info.objective, of_best.objective, 1e-6 * tau_norm)


@pytest.mark.parametrize("positive, start", WAYS)
def test_what_each_reaches_where_the_minimum_is_at_0(positive: str, start: str) -> None:
    """log(1 + eˣ) and eˣ are never 0 and slow down on the way: 10,000 steps end within 1e-3 ‖τ‖ a direction of f*."""
    for k in (1, 8):
        d, tau_norm = pairs(18, k)
        lam = torch.tensor(LAMBDAS, dtype=torch.float64)[:, None]
        best = sparsify(d, tau_norm, list(LAMBDAS), return_info=True)[1].objective
        S, _ = run(d, tau_norm, list(LAMBDAS), positive=positive, start=start, steps=10_000, seed=3)
        actual = reference.objective(S, d, tau_norm, lam, "frobenius")
        assert_within("objective", actual, best, 1e-3 * k**0.5 * tau_norm)
        assert (S >= 0).all() and ((S > 0).all() or positive == "abs")


def test_softplus_after_300_steps_is_near_its_start() -> None:
    """At lr 0.1 to 0.3 S₂ is small and flat whatever the target: the pattern of the paper's tables 3 and 6.

    L₁ is nearly ΣS₁, H(S₂) is high, and REC falls and rises again along λ, to above 0.5 where the minimum is S₂ = 0.
    """
    s1 = 0.62 ** torch.arange(8, dtype=torch.float64).expand(64, 8).contiguous()
    s1 = 0.3 * s1 / s1.sum(-1, keepdim=True)
    tau_norm = torch.full((64,), 0.3, dtype=torch.float64)
    d = 1e-3 * tau_norm[:, None] * random(64, 8)
    options = {"method": "adam", "steps": 300, "schedule": "constant", "start": "normal", "units": "paper", "seed": 1}
    lams = [0.0, 1e-3, 0.1, 1.0]
    for lr in (0.1, 0.3):
        S = sparsify(d, tau_norm, lams, positive="softplus", lr=lr, **options)
        found = compare_spectra(s1.expand_as(S), S, metrics=["l1", "rec", "entropy_projected"])
        l1, rec, entropy = (value.mean(-1) for value in found.values())
        assert (l1 > 0.6 * 0.3).all() and (l1 < 0.3).all() and (entropy > 0.83).all() and (rec > 0.5).all()
        assert rec[2] < rec[0] - 0.01 and rec[2] < rec[3] - 0.01
    exact = sparsify(d, tau_norm, lams)
    assert (
        not exact[2:].any() and compare_spectra(s1, exact[0], metrics=["entropy_projected"]).popitem()[1].mean() < 0.7
    )
    clipped = sparsify(d, tau_norm, lams, positive="clip", lr=0.1, **options)
    assert compare_spectra(s1, clipped[3], metrics=["rec"])["rec"].mean() < 0.1


# --- edges


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("positive", MAPS)
def test_no_target(positive: str, backend: str) -> None:
    for start in ("closed_form", "normal"):
        for lam in (0.0, 0.5):
            S, info = run(
                torch.zeros(4), torch.tensor(0.0), lam, positive=positive, start=start, backend=backend, tol=1e-9
            )
            assert not S.any() and info.objective.item() == 0 and info.converged.item()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("positive", MAPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_nothing_overflows(dtype: torch.dtype, positive: str, backend: str) -> None:
    """S ends at 2⁴⁰ ‖τ‖, on the way up and down."""
    d = torch.tensor([3.0, -4.0], dtype=dtype)
    for size in (1e-6, 1.0, 1e6):
        for lr in (50.0, 1e4):
            for units in UNITS:
                S, info = run(
                    size * d, torch.tensor(6.0 * size, dtype=dtype), 0.1, positive=positive, start="normal", lr=lr,
                    units=units, schedule="constant", steps=20, backend=backend, seed=2,
                )  # fmt: skip
                assert S.isfinite().all() and info.objective.isfinite() and (S <= 2.0**40 * 6.1 * size).all()


@pytest.mark.parametrize("positive", MAPS)
def test_not_finite_spoils_its_own_pair_alone(positive: str) -> None:
    d, tau_norm = pairs(17, 5, torch.float32)
    good, _ = run(d, tau_norm, 0.4, positive=positive, steps=50)
    d[7, 2] = math.nan
    S, info = run(d, tau_norm, 0.4, positive=positive, steps=50, check=False)
    assert S[7].isnan().all() and info.objective[7].isnan()
    others = torch.arange(17) != 7
    assert_same_bits(S[others], good[others])


@pytest.mark.parametrize("positive", MAPS)
def test_the_slope_at_0(positive: str) -> None:
    """|x| stays where its derivative is taken as 0, as torch takes it: of d ≤ 0 at the closed form."""
    d, tau_norm = torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64)
    S, _ = run(d, tau_norm, 0.1, positive=positive, steps=30)
    want = reference.sparsify(d, tau_norm, 0.1, method="adam", positive=positive, steps=30)
    assert_within("S", S, want, 1e-12)
    assert (S[1:] == 0).all() == (positive == "abs")
    with pytest.raises(ValueError, match="start 'zeros' never moves with positive 'abs'"):
        Solver(method="adam", positive="abs", start="zeros")
