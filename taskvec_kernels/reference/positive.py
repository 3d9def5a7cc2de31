"""How Adam keeps S ≥ 0: what it steps on, x, and S as a function of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..seeding import normal
from ..solver import Solver
from .projection import clip_negative

LEAST = 2.0**-10  # of ‖τ‖: the closed form's start, where g is never 0
MOST = 2.0**40  # of ‖τ‖: S goes no higher, so that no square overflows


class Positive(Protocol):
    """``pace``: what a learning rate of 1 moves x by (..., 1)."""

    pace: Tensor

    def start(self, d: Tensor, seed: Tensor | None) -> Tensor:
        """Where x starts, (..., k)."""

    def bound(self, x: Tensor) -> Tensor:
        """x after a step."""

    def S(self, x: Tensor) -> Tensor: ...

    def slope(self, x: Tensor) -> Tensor:
        """dS/dx, in units of ``pace``."""


class Clipped:
    """S ← max(0, S) after each step: x is S."""

    def __init__(self, tau_norm: Tensor, solver: Solver) -> None:
        self.solver = solver
        self.pace = unit(tau_norm, solver)[..., None]

    def start(self, d: Tensor, seed: Tensor | None) -> Tensor:
        x = d if self.solver.start == "closed_form" else self.pace * zeros_or_draws(d, seed, self.solver)
        return clip_negative(x)

    def bound(self, x: Tensor) -> Tensor:
        return clip_negative(x)

    def S(self, x: Tensor) -> Tensor:
        return x

    def slope(self, x: Tensor) -> Tensor:
        return torch.ones_like(x)


class Map(NamedTuple):
    """g, its derivative and its inverse; ``least``: what d is raised to before its inverse, in units of ‖τ‖."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    least: float


MAPS = {
    "softplus": Map(
        lambda x: torch.logaddexp(x, torch.zeros_like(x)),
        torch.sigmoid,
        lambda s: s + torch.log(-torch.expm1(-s)),
        LEAST,
    ),
    "exp": Map(torch.exp, torch.exp, torch.log, LEAST),
    "abs": Map(torch.abs, torch.sign, lambda s: s, 0.0),  # of slope 0 at 0, as in torch
}


class Mapped:
    """S = unit · g(x), of any x; the draws and the zeros of a start are those of x."""

    def __init__(self, tau_norm: Tensor, solver: Solver) -> None:
        self.solver, self.g = solver, MAPS[solver.positive]
        self.unit = unit(tau_norm, solver)[..., None]
        self.pace = torch.ones_like(self.unit)
        self.size = torch.where(tau_norm == 0, 1.0, tau_norm)[..., None]
        self.share = self.size if solver.units == "paper" else torch.ones_like(self.size)  # ‖τ‖ / unit

    def start(self, d: Tensor, seed: Tensor | None) -> Tensor:
        if self.solver.start != "closed_form":
            return self.bound(zeros_or_draws(d, seed, self.solver))
        raised = (d / self.size).clamp(min=self.g.least)
        return self.bound(self.g.inverse(raised * self.share))

    def bound(self, x: Tensor) -> Tensor:
        return torch.minimum(x, self.g.inverse(MOST * self.share))

    def S(self, x: Tensor) -> Tensor:
        return self.unit * self.g.value(x)

    def slope(self, x: Tensor) -> Tensor:
        return self.g.slope(x)


def zeros_or_draws(d: Tensor, seed: Tensor | None, solver: Solver) -> Tensor:
    return torch.zeros_like(d) if seed is None or solver.start == "zeros" else normal(seed, d.shape[-1]).to(d)


def unit(tau_norm: Tensor, solver: Solver) -> Tensor:
    """‖τ‖, or 1 for absolute units."""
    return tau_norm if solver.units == "tau" else torch.ones_like(tau_norm)


def positive(tau_norm: Tensor, solver: Solver) -> Positive:
    return Clipped(tau_norm, solver) if solver.positive == "clip" else Mapped(tau_norm, solver)
