"""``Solver``: the weight λ of step 3 and how S₂ is found, one record for kernels, sweeps, commands and results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict

METHODS = ("exact", "adam")
NORMS = ("frobenius", "squared")
POSITIVES = ("clip", "softplus", "exp", "abs")
STARTS = ("closed_form", "zeros", "normal")
UNITS = ("tau", "paper")
SCHEDULES = ("linear", "constant")
MAX_STEPS: Final = 2**24  # the whole numbers that a vector of fp32 can count


class SolverSettings(TypedDict, total=False):
    """The fields of ``Solver`` that functions take as keywords; what is left out has its default."""

    method: str
    norm: str
    positive: str
    lr: float
    steps: int
    tol: float
    betas: tuple[float, float]
    eps: float
    start: str
    units: str
    schedule: str


@dataclass(frozen=True)
class Solver:
    """argmin over S ≥ 0 of ‖U S Vᴴ − τ₂‖ + λ ΣS, and the way to it (docs/METHOD.md §3).

    Attributes:
        lam: the weight λ ≥ 0, or a sequence of them, which is kept as a tuple and becomes an axis of the results.
        method: "exact": the minimiser itself. "adam": the paper's Algorithm 1; what follows "norm" is for it alone.
        norm: "frobenius" for ‖·‖_F in the objective, "squared" for ‖·‖_F².
        positive: how Adam keeps S ≥ 0. "clip": S ← max(0, S) after each step; "softplus", "exp" and "abs": steps on an
            x of any sign, of which S is made as log(1 + eˣ), eˣ or |x|.
        lr: learning rate.
        steps: N of Algorithm 1.
        tol: stop a pair once two successive losses differ by at most ``tol``; 0 goes all steps.
        betas: decay rates of Adam's moments, in [0, 1).
        eps: added to Adam's denominator.
        start: "closed_form" max(0, d), "zeros", or "normal": draws of N(0, 1), projected on S ≥ 0. Zeros and draws are
            those of x where there is one.
        units: "tau": lr, tol, the draws and what is made of x are in units of ‖τ₂‖; "paper": they are absolute.
        schedule: "linear": lr falls to 0 over the steps; "constant".
        seed: of the draws.

    Raises:
        TypeError: a value of the wrong kind.
        ValueError: a value that a field cannot have; a setting of Adam that is not its default with another method.
    """

    lam: float | Sequence[float] = 0.0
    method: str = "exact"
    norm: str = "frobenius"
    positive: str = "clip"
    lr: float = 0.1
    steps: int = 1000
    tol: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    start: str = "closed_form"
    units: str = "tau"
    schedule: str = "linear"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "lam", checked_lam(self.lam))
        one_of("method", self.method, METHODS)
        one_of("norm", self.norm, NORMS)
        whole_number("seed", self.seed)
        if self.method == "adam":
            self._check_adam()
        elif own := [name for name in ADAM if getattr(self, name) != getattr(Solver, name)]:
            raise ValueError(f"{own[0]} is a setting of method 'adam'; the method is {self.method!r}")

    def _check_adam(self) -> None:
        one_of("positive", self.positive, POSITIVES)
        for name in ("lr", "eps"):
            if not 0 < number(name, getattr(self, name)) < math.inf:
                raise ValueError(f"{name} must be a number > 0, got {getattr(self, name)}")
        if not 0 <= number("tol", self.tol) < math.inf:
            raise ValueError(f"tol must be a number ≥ 0, got {self.tol}")
        whole_number("steps", self.steps)
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps must be a whole number from 1 to {MAX_STEPS}, got {self.steps}")
        if not isinstance(self.betas, Sequence) or len(self.betas) != 2:
            raise TypeError(f"betas must be two numbers, got {self.betas!r}")
        object.__setattr__(self, "betas", tuple(number("betas", beta) for beta in self.betas))
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), got {self.betas}")
        one_of("start", self.start, STARTS)
        if (self.positive, self.start) == ("abs", "zeros"):
            raise ValueError("start 'zeros' never moves with positive 'abs': |x| has no slope at 0; start elsewhere")
        one_of("units", self.units, UNITS)
        one_of("schedule", self.schedule, SCHEDULES)

    @property
    def several(self) -> bool:
        """Whether λ was given as a sequence: an axis of the results."""
        return not isinstance(self.lam, float)

    @property
    def lams(self) -> tuple[float, ...]:
        """Every λ, one or several."""
        return (self.lam,) if isinstance(self.lam, float) else tuple(self.lam)

    @property
    def random(self) -> bool:
        """Whether the result depends on the seed."""
        return self.method == "adam" and self.start == "normal"

    def to_dict(self) -> dict[str, Any]:
        """Flat, as a stored attribute or JSON holds it: strings, numbers and lists. Adam's settings only for "adam"."""
        names = ("method", "norm", *(ADAM if self.method == "adam" else ()), "seed")
        values = {"lambda": self.lam} | {name: getattr(self, name) for name in names}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Solver:
        """What ``to_dict`` gave; keys that are not its own, of the other attributes of a result, are left alone."""
        given = {name: values[name] for name in ("method", "norm", *ADAM, "seed") if name in values}
        return cls(values.get("lambda", 0.0), **given)


# the fields of method "adam" alone
ADAM = ("positive", "lr", "steps", "tol", "betas", "eps", "start", "units", "schedule")


def checked_lam(lam: object) -> float | tuple[float, ...]:
    if isinstance(lam, float):
        return weight(lam)
    if hasattr(lam, "tolist"):  # an array or a tensor, and NumPy's numbers
        lam = lam.tolist()
    if not isinstance(lam, Sequence) or isinstance(lam, str):
        return weight(lam)
    if not lam:
        raise ValueError("λ is an empty list; give at least one")
    return tuple(weight(value) for value in lam)


def weight(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"λ must be a number or a sequence of numbers, got {value!r}")
    if not 0 <= value < math.inf:
        raise ValueError(f"λ must be a finite number ≥ 0, got {value}")
    return float(value)


def number(name: str, value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return value


def whole_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {value!r}")


def one_of(name: str, value: object, names: tuple[str, ...]) -> None:
    if value not in names:
        raise ValueError(f"{name} must be one of {', '.join(names)}, got {value!r}")
