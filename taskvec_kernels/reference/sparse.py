"""Step 3: S₂ of d, ‖τ₂‖ and λ, exactly or as Adam goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor

from ..seeding import seeds
from ..solver import Solver, SolverSettings
from ..types import SparseInfo
from .positive import positive, unit
from .projection import clip_negative


def sparsify(
    d: Tensor,
    tau_norm: Tensor,
    lam: float | Sequence[float] | Tensor | None = None,
    *,
    solver: Solver | None = None,
    return_info: bool = False,
    seed: int | Tensor | None = None,
    **settings: Unpack[SolverSettings],
) -> Tensor | tuple[Tensor, SparseInfo]:
    """argmin over S ≥ 0 of ‖U S Vᴴ − τ₂‖_F + λ ΣS, as the solver goes; in fp64."""
    solver = solver or Solver(seed=seed if isinstance(seed, int) else 0, **settings)
    given = solver.lam if lam is None else lam
    weights = torch.as_tensor(given, dtype=torch.float64, device=d.device)
    batch = torch.broadcast_shapes(d.shape[:-1], tau_norm.shape)  # type: ignore[no-untyped-call]
    several = weights.dim() == 1 and (not isinstance(given, Tensor) or weights.shape != batch)
    if several:
        weights = weights.reshape(-1, *[1] * len(batch)).expand(-1, *batch)  # [L, ...]
    else:
        batch = torch.broadcast_shapes(weights.shape, batch)  # type: ignore[no-untyped-call]
        weights = weights.expand(1, *batch)
    d, tau_norm = d.double().expand(*batch, -1), tau_norm.double().expand(batch)
    draws = seed.expand(batch) if isinstance(seed, Tensor) else seeds(solver.seed, batch, d.device)
    each = [solve(d, tau_norm, lam, solver, draws) for lam in weights]
    parts = [torch.stack(part) for part in zip(*each, strict=True)]
    S, *info = parts if several else [part[0] for part in parts]
    return (S, SparseInfo(*info)) if return_info else S


def solve(
    d: Tensor, tau_norm: Tensor, lam: Tensor, solver: Solver, seed: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """S (..., k) for one λ a pair, with objective, steps and convergence (...)."""
    d, tau_norm = d.double(), tau_norm.double()
    if solver.method == "adam":
        return adam_loop(d, tau_norm, lam, solver, seed)
    S = exact(d, tau_norm, lam) if solver.norm == "frobenius" else clip_negative(d - lam[..., None] / 2)
    S = torch.where(lam[..., None] == 0, clip_negative(d), S)
    found = torch.zeros(lam.shape, dtype=torch.int64, device=d.device)
    return S, objective(S, d, tau_norm, lam, solver.norm), found, found == 0


def exact(d: Tensor, tau_norm: Tensor, lam: Tensor) -> Tensor:
    """max(0, d − λ f), f² = (c² + Σ_inactive d²) / (1 − λ² n): from the most active n down, the first that agrees."""
    c2 = residual_square(d, tau_norm)
    most = d.sort(dim=-1, descending=True).values
    inactive = (
        torch.cat([most.square(), c2[..., None]], -1).flip(-1).cumsum(-1).flip(-1)
    )  # [..., k + 1]: c² + Σ_{l ≥ n} d²
    f, found = torch.full_like(c2, torch.nan), c2.isnan()
    for n in range(d.shape[-1], -1, -1):
        room = 1 - lam.square() * n
        value = torch.where(inactive[..., n] == 0, 0.0, inactive[..., n] / room).sqrt()
        # at n = 0 nothing is left to check; without a residual λ² n = 1 is a tie, and the larger set stays
        fits = torch.ones_like(found) if n == 0 else (most[..., n - 1] > lam * value) & (most[..., n - 1] > 0)
        fits &= (room > 0) | ((inactive[..., n] == 0) & (room >= 0))
        f, found = torch.where(fits & ~found, value, f), found | fits
    return clip_negative(d - (lam * f)[..., None])


def adam_loop(
    d: Tensor, tau_norm: Tensor, lam: Tensor, solver: Solver, seed: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Algorithm 1 of the paper: torch.optim.Adam's step on x, of which S ≥ 0 is made; each pair stops on its own."""
    way, scale = positive(tau_norm, solver), unit(tau_norm, solver)
    x = way.start(d, seed)
    S = way.S(x)
    mean = variance = torch.zeros_like(x)
    beta1, beta2 = solver.betas
    last, steps = torch.full_like(tau_norm, torch.inf), torch.zeros(tau_norm.shape, dtype=torch.int64, device=d.device)
    converged = stopped = torch.zeros_like(steps, dtype=torch.bool)
    for step in range(1, solver.steps + 1):
        loss = objective(S, d, tau_norm, lam, solver.norm)
        if solver.tol > 0:
            converged = converged | ((loss - last).abs() <= solver.tol * scale)
            stopped, last = converged | loss.isnan(), loss
            if stopped.all():
                break
        gap = S - d
        if solver.norm == "squared":
            gradient = 2 * gap + lam[..., None]
        else:
            distance = (residual_square(d, tau_norm) + gap.square().sum(-1)).sqrt()[..., None]
            gradient = torch.where(distance == 0, 0.0, gap / distance) + lam[..., None]
        gradient = gradient * way.slope(x)
        mean = beta1 * mean + (1 - beta1) * gradient
        variance = beta2 * variance + (1 - beta2) * gradient.square()
        left = 1 - (step - 1) / solver.steps if solver.schedule == "linear" else 1
        rate = solver.lr * way.pace / (1 - beta1**step) * left
        moved = x - rate * mean / (variance.sqrt() / (1 - beta2**step) ** 0.5 + solver.eps)
        x = torch.where(stopped[..., None], x, way.bound(moved))
        S = way.S(x)
        steps += ~stopped
    loss = objective(S, d, tau_norm, lam, solver.norm)
    if solver.tol > 0:
        converged = converged | (~stopped & ((loss - last).abs() <= solver.tol * scale))
    return torch.where(loss.isnan()[..., None], torch.nan, S), loss, steps, converged


def objective(S: Tensor, d: Tensor, tau_norm: Tensor, lam: Tensor, norm: str) -> Tensor:
    """‖U S Vᴴ − τ₂‖_F + λ ΣS, or with the square of the norm."""
    square = residual_square(d, tau_norm) + (S - d).square().sum(-1)
    return (square if norm == "squared" else square.sqrt()) + lam * S.sum(-1)


def residual_square(d: Tensor, tau_norm: Tensor) -> Tensor:
    """c² = ‖τ₂‖² − ‖d‖², what no S reaches; 0 where rounding makes it negative."""
    return clip_negative(tau_norm.square() - d.square().sum(-1))
