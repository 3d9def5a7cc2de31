"""Both directions of a pair along λ."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..documents import null_for_nan
from .projection import NotCompared

SCHEMA = "taskvec.lambda-path/2"
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
        """The JSON document of ``taskvec lambda-path``: a result for each λ, NaN as None."""
        common = {"starts": self.starts, "used": self.used, "skipped": [asdict(item) for item in self.skipped]}
        results = [
            {
                "lambda": at[0].lam,
                "paths": [
                    {"source": curve.source, "target": curve.target, **without_lambda(point)}
                    for curve, point in zip(self.curves, at, strict=True)
                ],
                **common,
            }
            for at in zip(*(curve.points for curve in self.curves), strict=True)
        ]
        document: dict[str, Any] = null_for_nan({"schema": SCHEMA, "results": results})
        return document


def without_lambda(point: Point) -> dict[str, Any]:
    document = asdict(point)
    del document["lam"]
    return document
