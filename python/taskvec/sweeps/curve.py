"""``lambda_path``: a pair along λ, the exact curve and next to it what Adam finds from several random starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from taskvec_kernels import Solver

from ..adapters import Adapter
from ..errors import TaskvecError
from ..progress import Mode, progress_bar
from ..results.curve import VALUES, Curve, LambdaCurves, Point
from ..results.projection import Projection
from ..store.entry import entry_of
from ..zoo import as_pair
from .options import make_solver
from .pair import project_both
from .plan import match_modules

GRID = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def lambda_path(
    a: Adapter | str | Path,
    b: Adapter | str | Path,
    grid: Sequence[float] = GRID,
    *,
    solver: Solver | None = None,
    seeds: int = 8,
    precision: str = "highest",
    backend: str | None = None,
    progress: Mode = "off",
) -> LambdaCurves:
    """The metrics of a→b and b→a for every λ of a grid.

    Args:
        a: one adapter, or a path to one.
        b: the other.
        grid: λ's, ascending in the result.
        solver: its norm, and for method "adam" the settings of a second curve next to the exact one; its λ and seed are
            not used.
        seeds: starts of Adam, drawn anew for each, with ``start="normal"``; another start is one.
        precision: as in ``project``.
        backend: None picks.
        progress: "auto", "off" or "json", on stderr.

    Raises:
        TaskvecError: a λ that is no weight or named twice; an option that does not exist or fit; no module in common.

    Cost:
        One factorisation of both, and a small ``pairwise`` for each start.
    """
    a, b, _ = as_pair(a, b)
    lams = sorted(grid)
    given = Solver() if solver is None else solver
    solvers = [make_solver(lam=lams, norm=given.norm)]
    if given.method == "adam":
        if seeds < 1:
            raise TaskvecError("the number of starts must be at least 1", got=str(seeds))
        starts = range(seeds if given.random else 1)
        solvers += [replace(given, lam=solvers[0].lam, seed=seed) for seed in starts]
    shared, skipped = match_modules(entry_of(a), entry_of(b))
    with progress_bar(progress, "projecting modules", len(shared) * len(solvers)) as advance:
        results = project_both(a, b, solvers, precision=precision, backend=backend, advance=advance)
    curves = []
    for way in (0, 1):
        values = [[means(point[way]) for point in curve] for curve in results]
        source, target = (a.name, b.name) if way == 0 else (b.name, a.name)
        curves.append(Curve(source, target, tuple(at(lam, [v[i] for v in values]) for i, lam in enumerate(lams))))
    return LambdaCurves((curves[0], curves[1]), len(solvers) - 1, len(shared), tuple(skipped))


def means(projection: Projection) -> dict[str, float]:
    """``VALUES`` of one projection."""
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
