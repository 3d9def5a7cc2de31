"""``sparsify`` with method="adam": the oracle against torch.optim.Adam on dense matrices, the kernel against it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from taskvec_kernels import reference, seeding, sparsify
from taskvec_kernels.solver import NORMS, SCHEDULES, STARTS, UNITS

from . import bounds
from .cases import name_of, orthonormal, random
from .compare import assert_same_bits, assert_within

LAMBDAS = (0.0, 0.05, 0.3, 0.9, 0.99, 0.999, 1.0, 2.0)


def pairs(count: int, k: int, dtype: torch.dtype = torch.float64, least: float = 0.1) -> tuple[Tensor, Tensor]:
    """d, and ‖τ‖ with residuals c from ``least`` ‖τ‖ up."""
    d = random(count, k, seed=k)
    d[::4] = d[::4].abs()
    share = least + (0.99 - least) * torch.linspace(0, 1, count, dtype=torch.float64) ** 2  # c / ‖τ‖
    length = d.norm(dim=-1)
    return d.to(dtype), (length / (1 - share.square()).sqrt()).to(dtype)


def run(d: Tensor, tau_norm: Tensor, lam: Any, **options: Any) -> tuple[Tensor, Any]:
    return sparsify(d, tau_norm, lam, method="adam", return_info=True, **options)


# --- the oracle against torch.optim.Adam


def dense_adam(
    U: Tensor, V: Tensor, tau: Tensor, lam: float, start: Tensor, norm: str, steps: int, lr: float, schedule: str
) -> tuple[Tensor, Tensor]:
    """Algorithm 1 on m × n matrices, by torch's own optimiser, scheduler and gradients."""
    S = start.clone().requires_grad_()

    def loss() -> Tensor:
        distance = torch.linalg.matrix_norm(U * S @ V.mT - tau)
        return (distance if norm == "frobenius" else distance.square()) + lam * S.sum()

    optimiser = torch.optim.Adam([S], lr=lr)
    rate = (lambda step: 1 - step / steps) if schedule == "linear" else (lambda step: 1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        scheduler.step()
        with torch.no_grad():
            S.clamp_(min=0)
    return S.detach(), loss().detach()


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("start", STARTS)
def test_oracle_against_torch(start: str, norm: str, units: str, schedule: str) -> None:
    U, V = orthonormal(12, 5), orthonormal(13, 5, seed=1)
    tau = 3 * U * torch.tensor([2.0, 1, 1, 0.5, -1]) @ V.mT + 0.3 * random(12, 13, seed=2)
    d, tau_norm = torch.diagonal(U.mT @ tau @ V), torch.linalg.matrix_norm(tau)
    unit = float(tau_norm) if units == "tau" else 1.0
    seed = torch.tensor(11)
    first = {"closed_form": d, "zeros": 0 * d, "normal": unit * seeding.normal(seed, 5)}[start].clamp(min=0)
    # at the closed form the gradient without λ is rounding alone, which Adam makes steps of
    for lam in (0.05 if start == "closed_form" else 0.0, 0.4, 1.0):
        for steps in (1, 2, 3, 10, 50):
            want, loss = dense_adam(U, V, tau, lam, first, norm, steps, 0.05 * unit, schedule)
            got, info = reference.sparsify(
                d, tau_norm, lam, method="adam", norm=norm, return_info=True, seed=seed,
                lr=0.05, steps=steps, start=start, units=units, schedule=schedule,
            )  # fmt: skip
            assert_within(f"S after {steps}", got, want, 1e-9 * unit)
            assert_within("objective", info.objective, loss, 1e-9 * float(loss))
            assert info.steps == steps and not info.converged


def test_the_settings_of_adam_go_through() -> None:
    """Each one changes the result, and to what torch gives with it."""
    d, tau_norm = pairs(1, 4)
    c = reference.residual_square(d, tau_norm).sqrt()
    settings = [((0.9, 0.999), 1e-8, 0.1), ((0.5, 0.9), 1e-8, 0.1), ((0.9, 0.999), 0.1, 0.1), ((0.0, 0.0), 1e-3, 0.02)]
    for betas, eps, lr in settings:
        S = d.clamp(min=0).requires_grad_()
        optimiser = torch.optim.Adam([S], lr=lr, betas=betas, eps=eps)
        for _ in range(7):
            optimiser.zero_grad()
            ((c.square() + (S - d).square().sum(-1)).sqrt() + 0.3 * S.sum(-1)).sum().backward()
            optimiser.step()
            with torch.no_grad():
                S.clamp_(min=0)
        for backend in ("cpu", "reference"):
            got = sparsify(
                d, tau_norm, 0.3, method="adam", steps=7, betas=betas, eps=eps, lr=lr, units="paper",
                schedule="constant", backend=backend,
            )  # fmt: skip
            assert_within(backend, got, S.detach(), 1e-12)


# --- the kernel against the oracle


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_first_steps(dtype: torch.dtype, start: str, norm: str, units: str, schedule: str) -> None:
    """Step by step within ``adam_steps``, before the directions of an Adam step depend on rounding."""
    options = {"start": start, "norm": norm, "units": units, "schedule": schedule, "seed": torch.arange(19)}
    for k in (1, 3, 8, 33):
        d, tau_norm = pairs(19, k, dtype)
        for lam in (0.0, 0.3, 1.0):
            for steps in (1, 2, 3, 10):
                S, info = run(d, tau_norm, lam, steps=steps, **options)
                want = reference.sparsify(d, tau_norm, lam, method="adam", steps=steps, **options)
                size = (want.amax(-1) + tau_norm + (0 if units == "tau" else 1)).double()
                assert_within("S", S, want, bounds.adam_steps(dtype, steps) * size[..., None])
                assert S.dtype == info.objective.dtype == dtype and (info.steps == steps).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
@pytest.mark.parametrize("k", [1, 2, 8, 64, 256])
def test_the_default_settings_reach_the_optimum(k: int, dtype: torch.dtype) -> None:
    """Within 1e-4 ‖τ‖ of the exact one where c ≥ 0.1 ‖τ‖, from every start and for every λ."""
    d, tau_norm = pairs(18, k, dtype)
    best = sparsify(d.double(), tau_norm.double(), list(LAMBDAS), return_info=True)[1].objective
    for start in STARTS:
        S, info = run(d, tau_norm, list(LAMBDAS), start=start, seed=3)
        lam = torch.tensor(LAMBDAS, dtype=torch.float64)[:, None]
        actual = reference.objective(S.double(), d.double(), tau_norm.double(), lam, "frobenius")
        assert (S >= 0).all() and (info.steps == 1000).all() and not info.converged.any()
        assert_within(start, actual, best, 1e-4 * tau_norm.double())
        rounding = (k + 8) * bounds.unit(dtype) * (1 + lam * math.sqrt(k)) * tau_norm.double()
        assert_within(f"{start}, reported", info.objective, actual, rounding)


@pytest.mark.slow
def test_the_oracle_reaches_the_optimum() -> None:
    d, tau_norm = pairs(9, 8)
    lam = torch.tensor([0.05, 0.9, 1.0], dtype=torch.float64)[:, None]
    best = reference.sparsify(d, tau_norm, lam, return_info=True)[1].objective
    _, info = reference.sparsify(d, tau_norm, lam, method="adam", start="zeros", return_info=True)
    assert_within("objective", info.objective, best, 1e-4 * tau_norm)


# --- stopping


@pytest.mark.parametrize("norm", NORMS)
def test_each_pair_stops_on_its_own(norm: str) -> None:
    """In fp64 at the oracle's very step, and as if it were alone."""
    d, tau_norm = pairs(19, 5)
    options = {"norm": norm, "tol": 1e-4, "steps": 300, "lr": 0.02, "schedule": "constant", "start": "zeros"}
    S, info = run(d, tau_norm, 0.3, **options)
    want, of_want = reference.sparsify(d, tau_norm, 0.3, method="adam", return_info=True, **options)
    assert torch.equal(info.steps, of_want.steps) and torch.equal(info.converged, of_want.converged)
    assert info.converged.any() and len(info.steps.unique()) > 3
    assert (info.steps[info.converged] < 300).all() and (info.steps[~info.converged] == 300).all()
    assert_within("S", S, want, 1e-9 * tau_norm[:, None])
    for i in (0, 7, 18):
        alone, of_alone = run(d[i], tau_norm[i], 0.3, **options)
        assert_same_bits((alone, *of_alone), (S[i], *(t[i] for t in info)))
        # what was left where it stopped is what so many steps give
        short, _ = run(d[i], tau_norm[i], 0.3, **options | {"tol": 0.0, "steps": int(info.steps[i])})
        assert_same_bits(short, S[i])


def test_the_tolerance_compares_two_successive_losses() -> None:
    d, tau_norm = pairs(1, 3)
    losses = [
        float(run(d, tau_norm, 0.3, steps=n, start="zeros", schedule="constant")[1].objective) for n in range(1, 60)
    ]
    change = np.abs(np.diff([float(tau_norm), *losses]))
    for units, unit in (("tau", float(tau_norm)), ("paper", 1.0)):
        lr = 0.1 if units == "tau" else 0.1 * float(tau_norm)
        for tol in (0.1, 1e-2, 1e-3):
            first = int(np.argmax(change <= tol * unit)) + 1
            _, info = run(d, tau_norm, 0.3, start="zeros", schedule="constant", tol=tol, units=units, lr=lr, steps=59)
            assert info.steps.item() == first and info.converged.item(), (units, tol)


# --- edges


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_the_gradient_is_zero_where_there_is_none(backend: str) -> None:
    """f = 0: λ alone moves S, by lr to the eps of Adam, and nothing does when λ = 0."""
    d, tau_norm = torch.tensor([3.0, 4.0], dtype=torch.float64), torch.tensor(5.0, dtype=torch.float64)
    still, info = run(d, tau_norm, 0.0, backend=backend)
    assert still.tolist() == [3, 4] and info.objective.item() == 0
    moved, _ = run(d, tau_norm, 0.25, steps=1, lr=2.0**-6, eps=1e-30, backend=backend)
    assert moved.tolist() == pytest.approx([3 - 5 / 64, 4 - 5 / 64], rel=1e-14)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("start", STARTS)
def test_no_target(start: str, backend: str) -> None:
    for lam in (0.0, 0.5):
        S, info = run(torch.zeros(4), torch.tensor(0.0), lam, start=start, backend=backend, tol=1e-9)
        assert not S.any() and info.objective.item() == 0 and info.converged.item()


@pytest.mark.parametrize("tol", [0.0, 1e-4])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_finite_spoils_its_own_pair_alone(bad: float, tol: float) -> None:
    d, tau_norm = pairs(17, 5, torch.float32)
    good = run(d, tau_norm, 0.4, tol=tol, steps=50)
    others = torch.arange(17) != 7
    for part in (d, tau_norm):
        before = part[7].clone()
        part[7] = bad
        S, info = run(d, tau_norm, 0.4, tol=tol, steps=50, check=False)
        want, of_want = run(d, tau_norm, 0.4, tol=tol, steps=50, check=False, backend="reference")
        part[7] = before
        assert_same_bits((S[others], *(t[others] for t in info)), (good[0][others], *(t[others] for t in good[1])))
        assert not info.objective[7].isfinite() and not info.converged[7]
        if math.isnan(bad):
            assert S[7].isnan().all() and want[7].isnan().all() and of_want.steps[7] == info.steps[7]


@pytest.mark.parametrize("size", [2.0**-60, 2.0**40])
def test_sizes(size: float) -> None:
    """In units of ‖τ‖ a power of two changes no bit."""
    d, tau_norm = pairs(17, 5, torch.float32)
    for start in STARTS:
        one, of_one = run(d, tau_norm, 0.4, start=start, steps=100, tol=1e-6)
        other, of_other = run(d * size, tau_norm * size, 0.4, start=start, steps=100, tol=1e-6)
        assert_same_bits((other, *of_other), (one * size, of_one.objective * size, *of_one[1:]))


# --- random starts


def draws(seed: Any, k: int, count: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """What a pair starts from: one step that goes nowhere."""
    d, tau_norm = torch.zeros(count, k, dtype=dtype), torch.ones(count, dtype=dtype)
    return sparsify(d, tau_norm, 0.0, method="adam", start="normal", lr=1e-300, steps=1, seed=seed)


def test_draws_are_the_oracles() -> None:
    seed = torch.cat([torch.arange(-5, 30), torch.tensor([2**63 - 1, -(2**63), 2**32, -1])])
    want = seeding.normal(seed, 40)
    assert_within("draws", draws(seed, 40, len(seed)), want.clamp(min=0), 1e-14)
    assert (want < 0).any() and torch.equal(seeding.normal(seed[3], 40), want[3])


def test_draws_are_normal() -> None:
    sample = seeding.normal(seeding.seeds(0, (4000,)), 50)
    count = sample.numel()
    assert abs(sample.mean()) < 5 / count**0.5 and abs(sample.var() - 1) < 5 * (2 / count) ** 0.5
    ordered = sample.flatten().sort().values
    expected = torch.special.ndtr(ordered)
    place = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    assert (expected - place).abs().max() < 1.95 / count**0.5  # Kolmogorov–Smirnov at 0.001
    # neighbours, seeds and places alike, know nothing of each other
    for one, other in ((sample[1:], sample[:-1]), (sample[:, 1:], sample[:, :-1])):
        assert abs((one * other).mean()) < 5 / one.numel() ** 0.5
    assert len(ordered.unique()) > 0.999 * count


def test_an_int_is_a_seed_for_every_pair() -> None:
    got = draws(7, 5, 12)
    assert_same_bits(got, draws(seeding.seeds(7, (12,)), 5, 12))
    assert len(got.unique(dim=0)) == 12
    assert not torch.equal(got, draws(8, 5, 12)) and torch.equal(got, draws(7, 5, 12))
    assert torch.equal(draws(-1, 5, 3), draws(2**64 - 1, 5, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_a_seed_belongs_to_its_pair(dtype: torch.dtype, threads: Any) -> None:
    """Place, batch, cut and threads change no bit."""
    d, tau_norm = pairs(150, 5, dtype)
    seed = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    options = {"start": "normal", "steps": 20}
    threads(1)
    S, _ = run(d, tau_norm, 0.4, seed=seed, **options)
    threads(3)
    assert_same_bits(run(d, tau_norm, 0.4, seed=seed, **options)[0], S)
    order = torch.randperm(150, generator=torch.Generator().manual_seed(1))
    assert_same_bits(run(d[order], tau_norm[order], 0.4, seed=seed[order], **options)[0], S[order])
    for i in (0, 63, 64, 149):
        assert_same_bits(run(d[i], tau_norm[i], 0.4, seed=seed[i], **options)[0], S[i])
    cut = run(d[37:110], tau_norm[37:110], 0.4, seed=seed[37:110].numpy(), **options)[0]
    assert_same_bits(cut, S[37:110])
    several = run(d, tau_norm, [0.0, 0.4], seed=seed, **options)[0]
    assert_same_bits(several[1], S)
    shaped = run(d.reshape(3, 50, 5), tau_norm.reshape(3, 50), 0.4, seed=seed.reshape(3, 50), **options)[0]
    assert_same_bits(shaped.reshape(150, 5), S)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=name_of)
def test_half_precision_is_exact_in_fp32(dtype: torch.dtype) -> None:
    d, tau_norm = pairs(17, 5)
    d, tau_norm = d.to(dtype), (1.1 * tau_norm).to(dtype)
    assert_same_bits(run(d, tau_norm, 0.4, steps=20), run(d.float(), tau_norm.float(), 0.4, steps=20))
