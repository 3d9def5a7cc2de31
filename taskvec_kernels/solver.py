"""The settings of step 3, S₂ with a sparsity weight λ: which solver, and how Adam goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

METHODS = ("exact", "adam")
NORMS = ("frobenius", "squared")
STARTS = ("closed_form", "zeros", "normal")
UNITS = ("tau", "paper")
SCHEDULES = ("linear", "constant")
MOST_STEPS = 2**24  # that a vector of fp32 counts


class AdamSettings(TypedDict, total=False):
    """Keyword arguments of ``method="adam"``; what is left out has its default.

    Attributes:
        lr: learning rate, 0.1.
        steps: N of Algorithm 1, 1,000.
        tol: stop once two successive losses differ by at most ``tol``; 0, the default, goes all steps.
        betas: (0.9, 0.999).
        eps: 1e-8, as torch's.
        start: "closed_form" max(0, d), "zeros", or "normal": draws of N(0, 1), projected on S ≥ 0.
        units: "tau": lr, tol and the draws are in units of ‖τ₂‖; "paper": they are absolute.
        schedule: "linear": lr falls to 0 over the steps; "constant".
    """

    lr: float
    steps: int
    tol: float
    betas: tuple[float, float]
    eps: float
    start: str
    units: str
    schedule: str


class Solver(NamedTuple):
    """A solver in the order of the operators' and the core's flat signatures."""

    method: str = "exact"
    norm: str = "frobenius"
    start: str = "closed_form"
    relative: bool = True
    decay: bool = True
    steps: int = 1000
    lr: float = 0.1
    tol: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    @property
    def random(self) -> bool:
        return self.method == "adam" and self.start == "normal"


SCHEMA = (
    "str method, str norm, str start, bool relative, bool decay, int steps, "
    "float lr, float tol, float beta1, float beta2, float eps"
)


def choose_solver(function: str, method: str, norm: str, settings: Mapping[str, Any]) -> Solver:
    """The solver that the arguments of ``function`` name.

    Raises:
        TypeError: a setting that does not exist, or one of Adam's for another method.
        ValueError: a value that a setting cannot have.
    """
    one_of(function, "method", method, METHODS)
    one_of(function, "norm", norm, NORMS)
    known = AdamSettings.__annotations__
    for name in settings:
        if name not in known:
            raise TypeError(f"{function}: unknown argument {name!r}; Adam's settings are {', '.join(known)}")
        if method != "adam":
            raise TypeError(f"{function}: {name} is a setting of method='adam', got method={method!r}")
    given = dict(settings)
    one_of(function, "start", given.get("start", "closed_form"), STARTS)
    relative = one_of(function, "units", given.pop("units", "tau"), UNITS) == "tau"
    decay = one_of(function, "schedule", given.pop("schedule", "linear"), SCHEDULES) == "linear"
    beta1, beta2 = given.pop("betas", (0.9, 0.999))
    solver = Solver(method, norm, relative=relative, decay=decay, beta1=beta1, beta2=beta2)._replace(**given)
    for name in ("lr", "eps"):
        above_zero(function, name, getattr(solver, name))
    for name in ("beta1", "beta2"):
        if not 0 <= getattr(solver, name) < 1:
            raise ValueError(f"{function}: betas must lie in [0, 1), got {(beta1, beta2)}")
    if not 0 <= solver.tol < math.inf:
        raise ValueError(f"{function}: tol must be a number ≥ 0, got {solver.tol}")
    if isinstance(solver.steps, bool) or not isinstance(solver.steps, int) or not 1 <= solver.steps <= MOST_STEPS:
        raise ValueError(f"{function}: steps must be a whole number from 1 to {MOST_STEPS}, got {solver.steps!r}")
    return solver


def one_of(function: str, name: str, value: str, names: tuple[str, ...]) -> str:
    if value not in names:
        raise ValueError(f"{function}: {name} must be one of {', '.join(names)}, got {value!r}")
    return value


def above_zero(function: str, name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{function}: {name} must be a number > 0, got {value}")


def check_lam(function: str, lam: float) -> float:
    """``lam`` as a float; ValueError for a λ that is negative, NaN or infinite."""
    if not 0 <= lam < math.inf:
        raise ValueError(f"{function}: lam must be a finite number ≥ 0, got {lam}")
    return float(lam)
