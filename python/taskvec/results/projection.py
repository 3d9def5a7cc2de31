"""One adapter on the directions of another, module by module and in the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..documents import null_for_nan


@dataclass(frozen=True)
class ModuleProjection:
    """τ₁→τ₂ of one module: both spectra, and every metric as an attribute, NaN where it is undefined."""

    module: str
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
    """τ₁→τ₂: every module, means without NaN with the modules they used, and the z of REC against chance."""

    source: str
    target: str
    lam: float
    modules: tuple[ModuleProjection, ...]
    mean: Mapping[str, float]
    used: Mapping[str, int]
    rec_z: float
    skipped: tuple[NotCompared, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of ``taskvec project``, NaN as None."""
        document: dict[str, Any] = {
            "source": self.source,
            "target": self.target,
            "lambda": self.lam,
            "modules": [{"module": of.module, "s1": of.s1, "s2": of.s2, **of.values} for of in self.modules],
            "mean": dict(self.mean),
            "used": dict(self.used),
            "rec_z": self.rec_z,
            "skipped": [asdict(item) for item in self.skipped],
        }
        plain: dict[str, Any] = null_for_nan(document)
        return plain
