"""Both directions of a pair along λ: the exact curve, and beside it what Adam finds from several random starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Unpack

import numpy as np

from taskvec_kernels.solver import SolverSettings

from .adapters.model import Adapter
from .errors import TaskvecError
from .progress import Mode, progress_bar
from .projection import NotCompared, Projection, match_modules, nan_to_none, project_both
from .sparsity import Sparsity, choose_sparsity

GRID = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
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
class Path:
    """source→target along the grid."""

    source: str
    target: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class LambdaPath:
    """Both directions of a pair.

    Attributes:
        starts: of Adam; 0 when only the exact curve was asked for.
        used: modules that both have.
    """

    paths: tuple[Path, Path]
    starts: int
    used: int
    skipped: tuple[NotCompared, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of ``taskvec lambda-path``, NaN as None."""
        document: dict[str, Any] = nan_to_none(asdict(self))
        for path in document["paths"]:
            for point in path["points"]:
                point["lambda"] = point.pop("lam")
        return document


def lambda_path(
    a: Adapter,
    b: Adapter,
    grid: Sequence[float] = GRID,
    *,
    seeds: int = 8,
    precision: str = "highest",
    backend: str | None = None,
    progress: Mode = "off",
    **settings: Unpack[SolverSettings],
) -> LambdaPath:
    """The metrics of a→b and b→a for every λ of a grid.

    Args:
        a: one adapter.
        b: the other.
        grid: λ's, ascending in the result.
        seeds: starts of Adam, drawn anew for each; a ``start`` that is not "normal" is one start.
        precision: as in ``project``.
        backend: None picks.
        progress: "auto", "off" or "json", on stderr.
        **settings: method, "adam" for the two side by side, and what else ``Solver`` has; ``start`` is "normal" unless
            given.

    Raises:
        TaskvecError: a λ that is no weight or named twice; a setting that does not exist or fit; no module in common.

    Cost:
        One factorisation of both, and a small ``pairwise`` for each start.
    """
    adam = settings.get("method") == "adam"
    given: SolverSettings = {"start": "normal", **settings} if adam else settings
    lams = sorted(grid)
    solvers = [choose_sparsity(lams, norm=settings.get("norm", "frobenius"))]
    first = choose_sparsity(lams, **given).solver
    if adam:
        if seeds < 1:
            raise TaskvecError("the number of starts must be at least 1", got=str(seeds))
        solvers += [Sparsity(replace(first, seed=seed)) for seed in range(seeds if first.random else 1)]
    shared, skipped = match_modules(a, b)
    if not shared:
        raise TaskvecError(f"{a.name} and {b.name} share no module", cure="there is nothing to compare")
    with progress_bar(progress, "projecting modules", len(shared) * len(solvers)) as advance:
        results = project_both(a, b, solvers, precision=precision, backend=backend, advance=advance)
    paths = []
    for way in (0, 1):
        curves = [[means(point[way]) for point in curve] for curve in results]
        source, target = (a.name, b.name) if way == 0 else (b.name, a.name)
        paths.append(Path(source, target, tuple(at(lam, [c[i] for c in curves]) for i, lam in enumerate(lams))))
    return LambdaPath((paths[0], paths[1]), len(solvers) - 1, len(shared), tuple(skipped))


def means(projection: Projection) -> dict[str, float]:
    active = [float(np.count_nonzero(module.s2)) for module in projection.modules]
    return {name: projection.mean[name] for name in VALUES if name != "active"} | {"active": float(np.mean(active))}


def at(lam: float, values: Sequence[dict[str, float]]) -> Point:
    """The exact values come first, then one of each start."""
    exact, *starts = values
    if not starts:
        return Point(lam, exact)
    columns = {name: np.array([start[name] for start in starts]) for name in VALUES}
    sd = {name: float(column.std(ddof=1)) if len(starts) > 1 else 0.0 for name, column in columns.items()}
    return Point(lam, exact, {name: float(column.mean()) for name, column in columns.items()}, sd)
