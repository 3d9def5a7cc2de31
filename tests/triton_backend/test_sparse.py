"""λ > 0 in the Triton backend: ``sparsify``, and ``pairwise`` with it, against the oracle and the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from taskvec_kernels import Solver, pairwise, reference, sparsify
from taskvec_kernels.metrics import PAIRWISE
from taskvec_kernels.seeding import seeds
from taskvec_kernels.solver import POSITIVES
from tests.kernels import bounds
from tests.kernels.cases import name_of, random, zoo
from tests.kernels.compare import assert_pairs, assert_same_bits

LAMS = [0.0, 1e-3, 0.3, 0.97, 2.0]  # none at which λ² times a number of directions is 1: a tie for contained pairs
ADAM: dict[str, dict[str, Any]] = {
    "closed form": {},
    "zeros": {"start": "zeros"},
    "draws": {"start": "normal", "seed": 5},
    "squared": {"norm": "squared", "start": "zeros"},
    "paper": {"units": "paper", "schedule": "constant", "lr": 0.01, "start": "normal"},
    "softplus": {"positive": "softplus", "start": "normal"},
    "softplus of the closed form": {"positive": "softplus", "units": "paper", "norm": "squared"},
    "exp": {"positive": "exp", "start": "normal", "units": "paper"},
    "exp of zeros": {"positive": "exp", "start": "zeros", "schedule": "constant"},
    "abs": {"positive": "abs", "start": "normal"},
    "abs of the closed form": {"positive": "abs"},
    "tolerance": {"tol": 1e-3, "schedule": "constant", "lr": 0.01},
}


def problems(pairs: int, r: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Some pairs are perfectly contained, some all negative, one is zero."""
    d = random(pairs, r) * random(pairs, 1, seed=1)
    d[::5], d[1::5] = d[::5].abs(), -d[1::5].abs()
    norm = (d.square().sum(-1) + random(pairs, seed=2).square()).sqrt()
    norm[::5] = d[::5].norm(dim=-1)
    d[3], norm[3] = 0, 0
    return d.to(dtype), norm.to(dtype)


@pytest.mark.parametrize("norm", ["frobenius", "squared"])
@pytest.mark.parametrize("r", [1, 3, 8, 130])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_exact_is_the_cpu_s(dtype: torch.dtype, r: int, norm: str) -> None:
    """Both solve in fp64 what they are given, so that an fp32 result differs in its last bit at most."""
    d, tau_norm = problems(37, r, dtype)
    S, info = sparsify(d, tau_norm, LAMS, norm=norm, return_info=True, backend="triton")
    want, other = sparsify(d, tau_norm, LAMS, norm=norm, return_info=True, backend="cpu")
    tolerance = 4 * bounds.unit(dtype) * tau_norm
    tolerance[::5] += 1e-6 * tau_norm[::5]  # c² of a contained pair is rounding, of another order of summation
    assert ((S - want).abs() <= tolerance[:, None]).all()
    assert torch.allclose(info.objective, other.objective, rtol=1e-6, atol=1e-6)
    assert info.converged.all() and S.isfinite().all()
    assert torch.equal(S[0], d.clamp(min=0))


@pytest.mark.parametrize("settings", ADAM.values(), ids=ADAM)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_adam_goes_the_oracle_s_steps(dtype: torch.dtype, settings: dict[str, Any]) -> None:
    d, tau_norm = (t[~torch.isin(torch.arange(37), torch.arange(0, 37, 5))] for t in problems(37, 5, dtype))
    given = {"method": "adam", "steps": 12, "return_info": True, **settings}
    S, info = sparsify(d, tau_norm, 0.2, backend="triton", **given)
    want, other = reference.sparsify(d, tau_norm, 0.2, **given)
    tolerance = (1e-12 if dtype == torch.float64 else 2e-5) * tau_norm.double().clamp(min=1)
    assert ((S - want).abs() <= tolerance[:, None]).all()
    assert ((info.objective - other.objective).abs() <= tolerance).all()
    assert torch.equal(info.converged, other.converged) and torch.equal(info.steps, other.steps)


def test_nan_stays_in_its_pair_and_rows_do_not_depend_on_the_batch() -> None:
    d, tau_norm = problems(37, 5, torch.float32)
    for method in ({}, {"method": "adam", "steps": 5, "start": "normal"}):
        draws = {"seed": seeds(0, (37,))} if method else {}
        clean = sparsify(d, tau_norm, 0.2, backend="triton", **method, **draws)
        broken = d.clone()
        broken[7, 2] = torch.nan
        got = sparsify(broken, tau_norm, 0.2, backend="triton", **method, **draws)
        assert got[7].isnan().all()
        keep = torch.arange(37) != 7
        assert_same_bits(got[keep], clean[keep])
        part = {"seed": draws["seed"][20:]} if method else {}
        assert_same_bits(sparsify(d[20:], tau_norm[20:], 0.2, backend="triton", **method, **part), clean[20:])


@pytest.mark.parametrize("norm", ["frobenius", "squared"])
def test_pairwise_for_several_lambdas(norm: str, small_tiles: None) -> None:
    """All metrics of x against y and of all against all, and λ = 0 among them bit for bit."""
    x, y = zoo(6, 40, 33, 5), zoo(3, 40, 33, 3, seed=10)
    options: dict[str, Any] = {"metrics": PAIRWISE, "spectra": True, "p": 3.0, "backend": "triton"}
    for other in (None, y):
        out = pairwise(x, other, solver=Solver([0.0, 0.01, 0.2], norm=norm), **options)
        assert_pairs(out, x, other, p=3.0, lam=[0.0, 0.01, 0.2], norm=norm)
        plain = pairwise(x, other, **options)
        for way, alone in ((out.forward, plain.forward), (out.backward, plain.backward)):
            assert_same_bits({n: t if n == "d" else t[0] for n, t in (way or {}).items()}, alone or {})


@pytest.mark.parametrize("positive", POSITIVES)
def test_pairwise_by_adam(positive: str, small_tiles: None) -> None:
    """The draws of a pair come from the seeds of its two, and directions that only pad stay zero."""
    x = zoo(5, 40, 33, 5, batch=(2,), dtype=torch.float64)
    solver = Solver([0.0, 0.1], "adam", positive=positive, steps=6, start="normal")
    given: dict[str, Any] = {"solver": solver, "seed": seeds(3, (2, 5))}
    options: dict[str, Any] = {"metrics": ("l1", "residual"), "spectra": True}
    got = pairwise(x, backend="triton", **options, **given).forward
    want = pairwise(x, backend="cpu", **options, **given).forward
    for name, value in want.items():
        assert torch.allclose(got[name], value, atol=1e-9), name


def test_values_are_checked_on_request() -> None:
    d, tau_norm = problems(7, 5, torch.float32)
    with pytest.raises(ValueError, match="below ‖d‖"):
        sparsify(d, 0.5 * tau_norm, 0.1, check=True, backend="triton")
    assert sparsify(d, 0.5 * tau_norm, 0.1, check=False, backend="triton").isfinite().all()
