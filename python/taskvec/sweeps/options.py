"""What is asked of a comparison, checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from taskvec_kernels import Solver
from taskvec_kernels.dispatch.registry import implementation
from taskvec_kernels.metrics import PAIRWISE
from taskvec_kernels.solver import ADAM

from ..errors import TaskvecError

PRECISIONS = ("highest", "high", "medium")
# the metrics of a sweep; lp has no p of its own
DEFAULT = tuple(name for name in PAIRWISE if name != "lp")


@dataclass(frozen=True)
class Options:
    """How every block of a comparison is computed; λ is always an axis of its results.

    ``elsewhere``: on other machines, which have the device; this one need not.

    Raises:
        TaskvecError: a metric, p, precision, device or backend that does not exist or fit; a λ named twice.
    """

    metrics: tuple[str, ...] = DEFAULT
    p: float | None = None
    precision: str = "highest"
    backend: str | None = None
    device: str = "cpu"
    solver: Solver = field(default_factory=Solver)
    spectra: bool = False  # also S₂ of every pair
    elsewhere: bool = False

    def __post_init__(self) -> None:
        if not self.elsewhere:
            check_device(self.device, self.backend)
        for name in self.metrics:
            if name not in PAIRWISE:
                raise TaskvecError(f"unknown metric {name!r}", expected=f"some of {', '.join(PAIRWISE)}")
        if len(set(self.metrics)) != len(self.metrics):
            raise TaskvecError("a metric is named twice", got=", ".join(self.metrics))
        if "lp" in self.metrics and not (self.p is not None and self.p > 0):
            raise TaskvecError("metric 'lp' needs p > 0", got=f"p = {self.p}")
        if self.precision not in PRECISIONS:
            raise TaskvecError(f"unknown precision {self.precision!r}", expected=f"one of {', '.join(PRECISIONS)}")
        if len(set(self.solver.lams)) != len(self.solver.lams):
            raise TaskvecError("a λ is named twice", got=", ".join(f"{lam:g}" for lam in self.solver.lams))
        object.__setattr__(self, "solver", replace(self.solver, lam=self.solver.lams))


def choose_solver(lam: float | Sequence[float], solver: Solver | None) -> Solver:
    """The solver that ``lam`` is shorthand for, or the one that is given."""
    if solver is None:
        return make_solver(lam=lam)
    if lam != 0.0:
        raise TaskvecError("lam and solver are both given", fix="give λ to the solver: Solver(lam, ...)")
    return solver


def make_solver(**settings: Any) -> Solver:
    """A ``Solver``; a setting that it would not use is an error too."""
    method = settings.get("method", "exact")
    unused = [name for name in settings if name in ADAM and method != "adam"]
    if unused:
        what = f"{unused[0]} is a setting of method 'adam', the method is {method!r}"
        raise TaskvecError(what, fix="choose method 'adam', or leave the setting out")
    try:
        return Solver(**settings)
    except (TypeError, ValueError) as error:
        raise TaskvecError(str(error)) from error


def device_here(device: str) -> str:
    """The device that a result was computed on, or the CPU where there is no such one."""
    place = torch.device(device)
    return "cpu" if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count() else device


def check_device(device: str, backend: str | None) -> None:
    """TaskvecError for a device that is not there, or a backend that cannot run on it, with those that can."""
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise TaskvecError("unknown device", got=device, expected="cpu, cuda or cuda:1") from error
    if place.type not in ("cpu", "cuda"):
        raise TaskvecError("cannot compute on this device", got=device, expected="cpu, cuda or cuda:1")
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise TaskvecError("no such device", got=device, expected=f"one of the {found} CUDA devices that torch sees")
    if backend is None:
        return
    try:
        implementation("pairwise", backend, place)
    except ValueError as error:
        raise TaskvecError(str(error)) from error
