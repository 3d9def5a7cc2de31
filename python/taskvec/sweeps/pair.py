"""``project``: one adapter on the directions of another, module by module and in the mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from taskvec_kernels import Solver, compare_spectra
from taskvec_kernels.metrics import METRICS, PAIRWISE

from ..adapters import Adapter
from ..chance import nan_mean, rec_chance, rec_z
from ..progress import Advance
from ..results.projection import ModuleProjection, NotCompared, Projection
from ..zoo import as_pair
from .canonical import Forms
from .compute import Floats, compute
from .options import Options, choose_solver
from .plan import match_modules, plan_pair

LEFT_OUT = ("lp", "overlap_u", "overlap_v", "captured", "captured_out", "captured_in")
# what a document has of a module and, but for the spread, in the mean
VALUES = (*(metric.name for metric in METRICS if metric.name not in LEFT_OUT), "rec_chance")
SPREAD = "rec_chance_sd"


@overload
def project(
    a: Adapter | str | Path, b: Adapter | str | Path, lam: float = ..., *, solver: None = ...,
    precision: str = ..., backend: str | None = ...,
) -> Projection: ...  # fmt: skip
@overload
def project(
    a: Adapter | str | Path, b: Adapter | str | Path, lam: Sequence[float], *, solver: None = ...,
    precision: str = ..., backend: str | None = ...,
) -> list[Projection]: ...  # fmt: skip
@overload
def project(
    a: Adapter | str | Path, b: Adapter | str | Path, *, solver: Solver,
    precision: str = ..., backend: str | None = ...,
) -> Projection | list[Projection]: ...  # fmt: skip
def project(
    a: Adapter | str | Path,
    b: Adapter | str | Path,
    lam: float | Sequence[float] = 0.0,
    *,
    solver: Solver | None = None,
    precision: str = "highest",
    backend: str | None = None,
) -> Projection | list[Projection]:
    """Project the task vectors of ``b`` on the directions of ``a`` (τ₁→τ₂: source a, target b).

    Args:
        a: the source, an adapter or a path to one.
        b: the target.
        lam: the weight λ of the sparse projection: shorthand for ``solver=Solver(lam)``; a sequence gives a list.
        solver: λ and how it is solved, in place of ``lam``: ``taskvec.Solver``.
        precision: "highest" (fp32), "high" or "medium".
        backend: None picks.

    Raises:
        TaskvecError: a path that cannot be read; no module in common; an option that does not exist or fit.

    Cost:
        One factorisation of each module of both, in batches of at most 256 MiB.
    """
    chosen = choose_solver(lam, solver)
    first, second, _ = as_pair(a, b)
    found = projections(first, second, chosen, precision=precision, backend=backend)
    return found if chosen.several else found[0]


def projections(
    a: Adapter, b: Adapter, solver: Solver, *, precision: str = "highest", backend: str | None = None
) -> list[Projection]:
    """a→b for every λ of the solver."""
    (both_ways,) = project_both(a, b, [solver], precision=precision, backend=backend)
    return [there for there, _ in both_ways]


def project_both(
    a: Adapter,
    b: Adapter,
    solvers: Sequence[Solver],
    *,
    precision: str = "highest",
    backend: str | None = None,
    advance: Advance = lambda steps: None,
) -> list[list[tuple[Projection, Projection]]]:
    """(a→b, b→a) for every λ of each of ``solvers``, with one factorisation.

    ``advance`` is told the number of modules after each of ``solvers``.
    """
    asked_for = tuple(name for name in VALUES if name in PAIRWISE)
    options = Options(asked_for, precision=precision, backend=backend, spectra=True)
    asked = [replace(options, solver=solver) for solver in solvers]
    blocks, skipped = plan_pair(a, b)
    forms = Forms((a, b))
    found: dict[tuple[int, int, bool], dict[str, ModuleProjection]] = defaultdict(dict)
    for block in blocks:
        for i, one in enumerate(asked):
            result = compute(block, forms, one)
            sides = result.sources[:, 0], result.targets[:, 0]
            for forward, way in ((True, result.forward), (False, result.backward or {})):
                source, target = sides if forward else sides[::-1]
                for j, lam in enumerate(one.solver.lams):
                    values = {name: value[j, :, 0, 0] for name, value in way.items() if name != "d"}
                    found[i, j, forward] |= of_modules(block.modules, source, target, values, lam)
            advance(len(block.modules))

    shared, _ = match_modules(a, b)

    def one_way(i: int, j: int, forward: bool) -> Projection:
        source, target = (a, b) if forward else (b, a)
        modules = [found[i, j, forward][path] for path in shared]
        return summary(source.name, target.name, asked[i].solver.lams[j], modules, skipped)

    return [
        [(one_way(i, j, True), one_way(i, j, False)) for j in range(len(one.solver.lams))]
        for i, one in enumerate(asked)
    ]


def of_modules(
    paths: Sequence[str], s1: Floats, of_target: Floats, values: dict[str, Floats], lam: float
) -> dict[str, ModuleProjection]:
    """The modules at ``paths`` for one λ; S₁ of the source and of the target (L, k), S₂ and metrics (L, …)."""
    chance, sd = rec_chance(s1)
    # draws of a target that is zero are all clipped to nothing; with λ > 0 there is no chance value
    live = (of_target > 0).any(-1) if lam == 0 else np.nan
    of_source: dict[str, NDArray[np.floating]] = {
        "entropy": compare_spectra(s1, s1, metrics=["entropy"])["entropy"],
        "rec_chance": chance * live,
        SPREAD: sd * live,
    }
    columns = {name: (values | of_source)[name].tolist() for name in (*VALUES, SPREAD)}
    return {
        path: ModuleProjection(path, one, two, {name: column[i] for name, column in columns.items()})
        for i, (path, one, two) in enumerate(zip(paths, s1.tolist(), values["spectra"].tolist(), strict=True))
    }


def summary(
    source: str, target: str, lam: float, modules: Sequence[ModuleProjection], skipped: Iterable[NotCompared]
) -> Projection:
    """The means over modules, and z."""
    columns = {name: np.array([module.values[name] for module in modules]) for name in (*VALUES, SPREAD)}
    means = {name: nan_mean(columns[name]) for name in VALUES}
    return Projection(
        source=source,
        target=target,
        lam=lam,
        modules=tuple(modules),
        mean={name: float(mean) for name, (mean, _) in means.items()},
        used={name: int(used) for name, (_, used) in means.items()},
        rec_z=float(rec_z(columns["rec"], columns["rec_chance"], columns[SPREAD])),
        skipped=tuple(skipped),
    )
