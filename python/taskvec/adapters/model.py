"""What an adapter is once it is read: modules with their factors, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor


@dataclass(frozen=True)
class Module:
    """The task vector of one module, τ = scale · B · A, kept as its factors.

    ``factors()`` gives (B (m, r), A (r, n)) as views of the mapped file: nothing is resident until it is read.
    """

    path: str  # full module path, wrapper prefixes removed
    shape: tuple[int, int]  # (m, n) = out × in
    rank: int  # of the tensors, not of the config
    alpha: float | None
    scale: float
    scale_source: str  # how the scale was found, e.g. "alpha/r", "alpha/sqrt(r)", "alpha_pattern"
    factors: Callable[[], tuple[Tensor, Tensor]]
    warnings: tuple[str, ...] = ()

    @property
    def layer(self) -> int | None:
        """Number of the layer in the path (the first all-digit part), None without one."""
        return next((int(part) for part in self.path.split(".") if part.isdecimal()), None)

    @property
    def kind(self) -> str:
        """Last part of the path: q_proj, c_attn, ..."""
        return self.path.rsplit(".", 1)[-1]


@dataclass(frozen=True)
class LeftOut:
    """A tensor of the file that is no part of the task vector, and why."""

    tensor: str
    reason: str


@dataclass(frozen=True)
class Adapter:
    """One fine-tuned model: its task vector, module by module."""

    name: str
    path: Path
    format: str
    base_model: str | None
    modules: Mapping[str, Module]  # by module path, in the order of the file's sorted names
    digest: str  # sha256 of the weights and the config
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
