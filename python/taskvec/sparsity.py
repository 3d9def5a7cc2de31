"""The weights λ of a comparison, and how the sparse projection is solved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Unpack

import torch
from torch import Tensor

from taskvec_kernels.solver import AdamSettings, check_lam, choose_solver

from .adapters.model import Adapter
from .errors import TaskvecError

# metrics that S₂ enters; the others do not depend on λ
OF_S2 = ("l1", "l2", "linf", "lp", "rec", "entropy_projected", "residual", "energy")


@dataclass(frozen=True)
class Sparsity:
    """λ's, solver and seed; ``several``: λ is a dimension of the results."""

    lams: tuple[float, ...] = (0.0,)
    several: bool = False
    method: str = "exact"
    norm: str = "frobenius"
    seed: int = 0
    adam: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, modules: Sequence[str], *sides: Sequence[Adapter]) -> dict[str, Any]:
        """Keyword arguments of ``pairwise`` for L modules of the adapters of x, or of x and y."""
        given = {"lam": list(self.lams), "method": self.method, "norm": self.norm, **self.adam}
        if self.adam.get("start") != "normal":
            return given
        seeds = tuple(module_seeds(adapters, modules, self.seed) for adapters in sides)
        return given | {"seed": seeds if len(seeds) > 1 else seeds[0]}

    def record(self) -> dict[str, Any]:
        """Flat attributes of a result."""
        settings = {name: list(value) if isinstance(value, tuple) else value for name, value in self.adam.items()}
        lams: Any = list(self.lams) if self.several else self.lams[0]
        return {"lambda": lams, "method": self.method, "norm": self.norm, "seed": self.seed, **settings}


def choose_sparsity(
    lam: float | Sequence[float] = 0.0,
    method: str = "exact",
    norm: str = "frobenius",
    seed: int = 0,
    **adam: Unpack[AdamSettings],
) -> Sparsity:
    """The options as users give them.

    Raises:
        TaskvecError: a λ that is negative, NaN, infinite or named twice; a setting that does not exist or fit.
    """
    several = isinstance(lam, Sequence)
    lams = tuple(lam) if isinstance(lam, Sequence) else (lam,)
    try:
        lams = tuple(check_lam("sparsity", value) for value in lams)
        choose_solver("sparsity", method, norm, adam)
    except (TypeError, ValueError) as error:
        raise TaskvecError(str(error).removeprefix("sparsity: ")) from error
    if not lams:
        raise TaskvecError("no λ", cure="give at least one")
    if len(set(lams)) != len(lams):
        raise TaskvecError("a λ is named twice", got=", ".join(f"{value:g}" for value in lams))
    return Sparsity(lams, several, method, norm, seed, adam)


def module_seeds(adapters: Sequence[Adapter], modules: Sequence[str], seed: int) -> Tensor:
    """One seed for each module and adapter, int64 (L, N): of the contents alone, not of names or the rest of a zoo."""
    texts = [[f"{seed}\0{path}\0{adapter.digest}" for adapter in adapters] for path in modules]
    numbers = [[int.from_bytes(sha256(text.encode()).digest()[:8], signed=True) for text in row] for row in texts]
    return torch.tensor(numbers, dtype=torch.int64)
