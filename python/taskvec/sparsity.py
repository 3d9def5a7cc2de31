"""The weights λ of a comparison, and how the sparse projection is solved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Unpack

import torch
from torch import Tensor

from taskvec_kernels import Solver
from taskvec_kernels.solver import SolverSettings

from .adapters.model import Adapter
from .errors import TaskvecError

# metrics that S₂ enters; the others do not depend on λ
OF_S2 = ("l1", "l2", "linf", "lp", "rec", "entropy_projected", "residual", "energy")


@dataclass(frozen=True)
class Sparsity:
    """λ's, solver and seed; ``several``: λ is a dimension of the results."""

    solver: Solver = field(default_factory=Solver)

    @property
    def lams(self) -> tuple[float, ...]:
        return self.solver.lams

    @property
    def several(self) -> bool:
        return self.solver.several

    def arguments(self, modules: Sequence[str], *sides: Sequence[Adapter]) -> dict[str, Any]:
        """Keyword arguments of ``pairwise`` for L modules of the adapters of x, or of x and y; λ is always an axis."""
        given: dict[str, Any] = {"solver": replace(self.solver, lam=self.lams)}
        if not self.solver.random:
            return given
        seeds = tuple(module_seeds(adapters, modules, self.solver.seed) for adapters in sides)
        return given | {"seed": seeds if len(seeds) > 1 else seeds[0]}

    def record(self) -> dict[str, Any]:
        """Flat attributes of a result."""
        return self.solver.to_dict()


def choose_sparsity(lam: float | Sequence[float] = 0.0, seed: int = 0, **settings: Unpack[SolverSettings]) -> Sparsity:
    """The options as users give them.

    Raises:
        TaskvecError: a λ that is negative, NaN, infinite or named twice; a setting that does not exist or fit.
    """
    try:
        solver = Solver(lam, seed=seed, **settings)
    except (TypeError, ValueError) as error:
        raise TaskvecError(str(error)) from error
    if len(set(solver.lams)) != len(solver.lams):
        raise TaskvecError("a λ is named twice", got=", ".join(f"{value:g}" for value in solver.lams))
    return Sparsity(solver)


def module_seeds(adapters: Sequence[Adapter], modules: Sequence[str], seed: int) -> Tensor:
    """One seed for each module and adapter, int64 (L, N): of the contents alone, not of names or the rest of a zoo."""
    texts = [[f"{seed}\0{path}\0{adapter.digest}" for adapter in adapters] for path in modules]
    numbers = [[int.from_bytes(sha256(text.encode()).digest()[:8], signed=True) for text in row] for row in texts]
    return torch.tensor(numbers, dtype=torch.int64)
