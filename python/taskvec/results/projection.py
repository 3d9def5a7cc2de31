"""One adapter on the directions of another, module by module and in the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..chance.layers import OtherLayers


@dataclass(frozen=True)
class ModuleProjection:
    """τ₁→τ₂ of one module: ‖τ₂‖, both spectra, and every metric as an attribute, NaN where it is undefined."""

    module: str
    norm: float
    s1: list[float]
    s2: list[float]
    values: Mapping[str, float]  # by metric

    def __getattr__(self, name: str) -> float:
        # not self.values: a copy asks before there is one
        values: Mapping[str, float] = self.__dict__.get("values", {})
        if name not in values:
            raise AttributeError(f"{type(self).__name__} has no attribute and no metric {name!r}")
        return values[name]


@dataclass(frozen=True)
class NotCompared:
    """A module that one of the two does not have, or in another shape."""

    module: str
    reason: str


@dataclass(frozen=True)
class Projection:
    """τ₁→τ₂: every module, and what they say together.

    Attributes:
        source: name of the adapter whose directions are used.
        target: name of the one that is projected.
        lam: the weight λ.
        modules: those that both have.
        mean: plain means over modules, NaN skipped.
        used: modules that each mean counts.
        pooled: ``captured``, ``captured_out``, ``captured_in`` as shares of the whole update.
        excess: geometric mean.
        excess_quartiles: the lower and the upper one over modules.
        rec_z_raw: z_S of REC against its chance.
        other_layers: of pooled ``captured`` and of ``rec``, against the same with the target's layers shifted.
        skipped: modules that are not compared.
    """

    source: str
    target: str
    lam: float
    modules: tuple[ModuleProjection, ...]
    mean: Mapping[str, float]
    used: Mapping[str, int]
    pooled: Mapping[str, float]
    excess: float
    excess_quartiles: tuple[float, float]
    rec_z_raw: float
    other_layers: Mapping[str, OtherLayers]
    skipped: tuple[NotCompared, ...]
