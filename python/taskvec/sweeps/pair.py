"""``project``: one adapter on the directions of another, module by module and in the mean."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from taskvec_kernels import Solver, compare_spectra
from taskvec_kernels.metrics import METRICS, PAIRWISE

from ..adapters import Adapter
from ..chance.means import GeometricMean, PooledShare, nan_mean, quartiles
from ..chance.significance import rec_z
from ..progress import Advance
from ..results.projection import ModuleProjection, NotCompared, Projection
from ..store.kept import Kept
from ..store.memory import AdapterFactors
from ..zoo import as_pair
from .compute import Floats, array, compute
from .error_bars import ErrorBars, bars_of_modules
from .options import Options, choose_solver
from .pair_dataset import pair_dataset
from .plan import match_modules, plan_pair
from .shifted import shifted_pairs

# what is known of a module and of the mean; lp has no p of its own
VALUES = tuple(metric.name for metric in METRICS if metric.name != "lp")
SHARES = ("captured", "captured_out", "captured_in")
Both = tuple[Projection, Projection]  # a→b and b→a


@overload
def project(
    a: Adapter | str | Path, b: Adapter | str | Path, lam: float = ..., *, solver: None = ...,
    precision: str = ..., backend: str | None = ..., error_bars: bool | float = ...,
) -> Projection: ...  # fmt: skip
@overload
def project(
    a: Adapter | str | Path, b: Adapter | str | Path, lam: Sequence[float], *, solver: None = ...,
    precision: str = ..., backend: str | None = ..., error_bars: bool | float = ...,
) -> list[Projection]: ...  # fmt: skip
@overload
def project(
    a: Adapter | str | Path, b: Adapter | str | Path, *, solver: Solver,
    precision: str = ..., backend: str | None = ..., error_bars: bool | float = ...,
) -> Projection | list[Projection]: ...  # fmt: skip
def project(
    a: Adapter | str | Path,
    b: Adapter | str | Path,
    lam: float | Sequence[float] = 0.0,
    *,
    solver: Solver | None = None,
    precision: str = "highest",
    backend: str | None = None,
    error_bars: bool | float = False,
) -> Projection | list[Projection]:
    """Project the task vectors of ``b`` on the directions of ``a`` (τ₁→τ₂: source a, target b).

    Args:
        a: the source, an adapter or a path to one.
        b: the target.
        lam: the weight λ of the sparse projection: shorthand for ``solver=Solver(lam)``; a sequence gives a list.
        solver: λ and how it is solved, in place of ``lam``: ``taskvec.Solver``.
        precision: "highest" (fp32), "high" or "medium".
        backend: None picks.
        error_bars: how far REC (at λ = 0) and captured of each module would move, as its ``rec_error`` and
            ``captured_error``: True for the rounding of the factors to the dtype they are stored in, a number for noise
            of that relative size.

    Raises:
        TaskvecError: a path that cannot be read; no module in common; an option that does not exist or fit.

    Cost:
        One factorisation of each module of both, in batches of at most 256 MiB; another for error bars.
    """
    chosen = choose_solver(lam, solver)
    first, second, _ = as_pair(a, b)
    compared = compare_pair(first, second, chosen, precision=precision, backend=backend, error_bars=error_bars)
    found = [there for (there, _), _ in compared]
    return found if chosen.several else found[0]


def compare_pair(
    a: Adapter,
    b: Adapter,
    solver: Solver,
    *,
    precision: str = "highest",
    backend: str | None = None,
    error_bars: bool | float = False,
) -> list[tuple[Both, xr.Dataset]]:
    """Both directions for every λ of the solver, with their layer baseline; and the same as the result of a sweep.

    Error bars are those of a→b.
    """
    bars = None if error_bars is False else bars_of_modules(a, b, None if error_bars is True else error_bars)
    (both_ways,) = project_both(a, b, [solver], precision=precision, backend=backend)
    options = Options(precision=precision, backend=backend, solver=solver)
    found = shifted_pairs(AdapterFactors((a, b)), [(0, 1)], options)
    found_lams = []
    for i, both in enumerate(both_ways):
        there, back = (
            replace(one, other_layers=found[pair].other_layers(i)) for one, pair in zip(both, found, strict=True)
        )
        dataset = pair_dataset(a, b, (there, back), found, i)
        there = there if bars is None else with_error_bars(there, bars, solver)
        found_lams.append(((there, back), dataset))
    return found_lams


def with_error_bars(one: Projection, bars: Mapping[str, ErrorBars], solver: Solver) -> Projection:
    """The REC's are of S₂ = max(0, d) alone."""
    closed = one.lam == 0 and solver.method == "exact"

    def errors(module: ModuleProjection) -> dict[str, float]:
        of = bars[module.module]
        return {"rec_error": float(of.rec) if closed else math.nan, "captured_error": float(of.captured)}

    modules = (replace(module, values={**module.values, **errors(module)}) for module in one.modules)
    return replace(one, modules=tuple(modules))


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
    factors = Kept(AdapterFactors((a, b)))
    blocks, skipped = plan_pair(*factors.entries)
    found: dict[tuple[int, int, bool], dict[str, ModuleProjection]] = defaultdict(dict)
    for block in blocks:
        for i, one in enumerate(asked):
            result = compute(block, factors, one)
            ways = (
                (True, result.forward, result.sources, result.target_norms),
                (False, result.backward or {}, result.targets, result.source_norms),
            )
            for forward, way, s1, norms in ways:
                for j in range(len(one.solver.lams)):
                    values = {name: array(value[j, :, 0, 0]) for name, value in way.items() if name != "d"}
                    found[i, j, forward] |= of_modules(block.modules, s1[:, 0], norms[:, 0], values)
            advance(len(block.modules))

    shared, _ = match_modules(*factors.entries)

    def one_way(i: int, j: int, forward: bool) -> Projection:
        source, target = (a, b) if forward else (b, a)
        modules = [found[i, j, forward][path] for path in shared]
        return summary(source.name, target.name, asked[i].solver.lams[j], modules, skipped)

    return [
        [(one_way(i, j, True), one_way(i, j, False)) for j in range(len(one.solver.lams))]
        for i, one in enumerate(asked)
    ]


def of_modules(
    paths: Sequence[str], s1: Floats, norms: NDArray[np.float64], values: dict[str, Floats]
) -> dict[str, ModuleProjection]:
    """The modules at ``paths`` for one λ; S₁ of the source (L, k), ‖τ‖ of the target (L,), S₂ and metrics (L, …)."""
    known = values | {"entropy": compare_spectra(s1, s1, metrics=["entropy"])["entropy"]}
    columns = {name: known[name].tolist() for name in VALUES}
    return {
        path: ModuleProjection(path, norm, one, two, {name: column[i] for name, column in columns.items()})
        for i, (path, norm, one, two) in enumerate(
            zip(paths, norms.tolist(), s1.tolist(), values["spectra"].tolist(), strict=True)
        )
    }


def summary(
    source: str,
    target: str,
    lam: float,
    modules: Sequence[ModuleProjection],
    skipped: Iterable[NotCompared],
) -> Projection:
    """What the modules say together."""
    columns = {name: np.array([module.values[name] for module in modules]) for name in VALUES}
    means = {name: nan_mean(columns[name]) for name in VALUES}
    pooled = {name: PooledShare() for name in SHARES}
    for name, share in pooled.items():
        share.add(columns[name], np.square([module.norm for module in modules]))
    low, high = quartiles(columns["excess"]).tolist()
    excess = GeometricMean()
    excess.add(columns["excess"])
    return Projection(
        source=source,
        target=target,
        lam=lam,
        modules=tuple(modules),
        mean={name: float(mean) for name, (mean, _) in means.items()},
        used={name: int(used) for name, (_, used) in means.items()},
        pooled={name: float(share.value) for name, share in pooled.items()},
        excess=float(excess.value),
        excess_quartiles=(low, high),
        rec_z_raw=float(rec_z(columns["rec"], columns["rec_chance"], columns["rec_chance_sd"])),
        other_layers={},
        skipped=tuple(skipped),
    )
