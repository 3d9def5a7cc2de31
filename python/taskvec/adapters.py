"""What an adapter is once it is read: modules, the update of each, and what was left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .errors import printable
from .paths import layer_and_kind

if TYPE_CHECKING:
    from torch import Tensor


class LowRank(NamedTuple):
    """τ = scale · B · A, kept as its factors B (m, r) and A (r, n)."""

    b: Tensor
    a: Tensor
    scale: float


class Cut(LowRank):
    """The leading directions of a τ, which is longer than they are."""

    norm: float  # ‖τ‖

    @classmethod
    def of(cls, b: Tensor, a: Tensor, norm: float) -> Cut:
        cut = cls(b, a, 1.0)
        cut.norm = norm
        return cut


class Dense(NamedTuple):
    """τ = tuned − base, both (m, n): the update of a full fine-tune. Without a base, ``tuned`` is τ itself."""

    base: Tensor | None
    tuned: Tensor


Update = LowRank | Dense


@dataclass(frozen=True)
class Module:
    """The task vector of one module: what is known of it without reading it, and how to get it.

    ``update()`` reads its tensors: nothing is in memory until it is used.
    """

    path: str  # full module path, wrapper prefixes removed
    shape: tuple[int, int]  # (m, n) = out × in
    rank: int  # of the tensors, not of the config
    alpha: float | None
    scale: float
    scale_source: str  # how the scale was found, e.g. "alpha/r", "alpha/sqrt(r)", "alpha_pattern"
    update: Callable[[], Update]
    warnings: tuple[str, ...] = ()
    start: str | None = None  # "pissa": by value the factors are little more than a start that is no part of the update

    @property
    def layer(self) -> int | None:
        """Number of the layer in the path, None without one: ``paths.layer_and_kind``."""
        return layer_and_kind(self.path)[0]

    @property
    def kind(self) -> str:
        """What the module is in its layer: self_attn.q_proj, attn.c_proj, mlp.c_proj, ..."""
        return layer_and_kind(self.path)[1]


@dataclass(frozen=True)
class LeftOut:
    """A tensor of the file that is no part of the task vector, and why."""

    tensor: str
    reason: str
    parameters: int = 0


@dataclass(frozen=True, repr=False)
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
    parameters: int = 0  # numbers in the weights file, of what was left out too; 0: not known

    def __repr__(self) -> str:
        return printable(f"<taskvec.Adapter {self.name}: {self.format}, {len(self.modules)} modules>")


class Shaped(Protocol):
    """What is known of a module without its tensors."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def rank(self) -> int: ...


class Described(Protocol):
    """What is known of an adapter without its tensors: an ``Adapter``, or a store's entry."""

    @property
    def name(self) -> str: ...
    @property
    def base_model(self) -> str | None: ...
    @property
    def modules(self) -> Mapping[str, Shaped]: ...
    @property
    def left_out(self) -> tuple[LeftOut, ...]: ...
    @property
    def parameters(self) -> int: ...


def counted(left_out: Iterable[LeftOut], shapes: Mapping[str, tuple[int, ...]]) -> tuple[LeftOut, ...]:
    """The tensors left out by name, with how many numbers each holds."""
    named = sorted(left_out, key=lambda item: item.tensor)
    return tuple(replace(item, parameters=math.prod(shapes.get(item.tensor, (0,)))) for item in named)
