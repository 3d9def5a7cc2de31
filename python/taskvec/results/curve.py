"""Both directions of a pair along λ."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..documents import null_for_nan
from .projection import NotCompared

# means over modules, and the number of non-zero S₂
VALUES = ("l2", "l1", "rec", "entropy_projected", "residual", "active")


@dataclass(frozen=True)
class Point:
    """One λ: means over modules of the exact solution; of Adam, mean and standard deviation over the starts."""

    lam: float
    exact: dict[str, float]
    adam: dict[str, float] | None = None
    adam_sd: dict[str, float] | None = None


@dataclass(frozen=True)
class Curve:
    """source→target along the grid."""

    source: str
    target: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class LambdaCurves:
    """Both directions of a pair.

    Attributes:
        starts: of Adam; 0 when only the exact curve was asked for.
        used: modules that both have.
    """

    curves: tuple[Curve, Curve]
    starts: int
    used: int
    skipped: tuple[NotCompared, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of ``taskvec lambda-path``, NaN as None."""
        document: dict[str, Any] = null_for_nan(asdict(self))
        document = {"paths" if name == "curves" else name: value for name, value in document.items()}
        for curve in document["paths"]:
            for point in curve["points"]:
                point["lambda"] = point.pop("lam")
        return document
