"""One adapter on the directions of another, module by module and in the mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import printable
from ..paths import layer_and_kind

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

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


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        words = f"{self.source} → {self.target}, {len(self.modules)} modules, λ = {self.lam:g}"
        captured, rec = self.pooled.get("captured", math.nan), self.mean.get("rec", math.nan)
        return printable(f"<taskvec.Projection: {words}: captured {captured:.4f}, REC {rec:.3f}>")

    def to_dataframe(self) -> pd.DataFrame:
        """A row a module: its path, layer (-1 outside the layers) and kind, ‖τ₂‖ as ``norm``, and every metric."""
        import pandas as pd

        rows = []
        for module in self.modules:
            layer, kind = layer_and_kind(module.module)
            place = {"module": module.module, "layer": -1 if layer is None else layer, "kind": kind}
            rows.append({**place, "norm": module.norm, **module.values})
        return pd.DataFrame(rows)
