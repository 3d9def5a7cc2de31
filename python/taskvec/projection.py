"""``project``: one adapter on the directions of another, module by module and in the mean."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Unpack, overload

import numpy as np
from torch import Tensor

from taskvec_kernels import LowRankSVD, compare_spectra, pairwise
from taskvec_kernels.solver import SolverSettings

from .adapters.model import Adapter
from .canonical import canonical_forms
from .device import check_device
from .grouping import MEMORY, form_bytes, module_paths
from .progress import Advance
from .sparsity import Sparsity, choose_sparsity
from .statistics import nan_mean, rec_chance, rec_z

METRICS = ("l1", "l2", "linf", "rec", "entropy_projected", "cosine", "residual", "energy", "excess")
AVERAGED = (
    "l1",
    "l2",
    "linf",
    "rec",
    "entropy",
    "entropy_projected",
    "cosine",
    "residual",
    "energy",
    "excess",
    "rec_chance",
)


@dataclass(frozen=True)
class ModuleProjection:
    """τ₁→τ₂ of one module; what is undefined is NaN."""

    module: str
    s1: list[float]
    s2: list[float]
    l1: float
    l2: float
    linf: float
    rec: float
    entropy: float
    entropy_projected: float
    cosine: float
    residual: float
    energy: float
    excess: float
    rec_chance: float
    rec_chance_sd: float


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
    mean: dict[str, float]
    used: dict[str, int]
    rec_z: float
    skipped: tuple[NotCompared, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of ``taskvec project``, NaN as None."""
        names = ("source", "target", "lambda", "modules", "mean", "used", "rec_z", "skipped")
        document = nan_to_none(asdict(self))
        return dict(zip(names, document.values(), strict=True))


@overload
def project(
    a: Adapter, b: Adapter, lam: float = ..., *, seed: int = ...,
    precision: str = ..., backend: str | None = ..., **settings: Unpack[SolverSettings],
) -> Projection: ...  # fmt: skip
@overload
def project(
    a: Adapter, b: Adapter, lam: Sequence[float], *, seed: int = ...,
    precision: str = ..., backend: str | None = ..., **settings: Unpack[SolverSettings],
) -> list[Projection]: ...  # fmt: skip
def project(
    a: Adapter,
    b: Adapter,
    lam: float | Sequence[float] = 0.0,
    *,
    seed: int = 0,
    precision: str = "highest",
    backend: str | None = None,
    **settings: Unpack[SolverSettings],
) -> Projection | list[Projection]:
    """Project the task vectors of ``b`` on the directions of ``a`` (τ₁→τ₂: source a, target b).

    Args:
        a: the source.
        b: the target.
        lam: the weight λ of the sparse projection; a list gives a list.
        seed: of Adam's random starts.
        precision: "highest" (fp32), "high" or "medium".
        backend: None picks.
        **settings: method, norm and what else ``taskvec_kernels.Solver`` has.

    Raises:
        TaskvecError: a λ that is no weight, or a setting that does not exist or fit.

    Cost:
        One factorisation of each module of both, in batches of at most 256 MiB.
    """
    sparsity = choose_sparsity(lam, seed, **settings)
    (results,) = project_both(a, b, [sparsity], precision=precision, backend=backend)
    forward = [there for there, _ in results]
    return forward if sparsity.several else forward[0]


def project_both(
    a: Adapter,
    b: Adapter,
    sparsities: Sequence[Sparsity],
    *,
    precision: str = "highest",
    backend: str | None = None,
    advance: Advance = lambda steps: None,
) -> list[list[tuple[Projection, Projection]]]:
    """(a→b, b→a) for every λ of each of ``sparsities``, with one factorisation.

    ``advance`` is told the number of modules after each of ``sparsities``.
    """
    check_device("cpu", backend)
    shared, skipped = match_modules(a, b)
    alike: dict[tuple[tuple[int, int], int, int], list[str]] = defaultdict(list)
    for path in shared:
        alike[a.modules[path].shape, a.modules[path].rank, b.modules[path].rank].append(path)
    found: dict[tuple[int, int, bool], dict[str, ModuleProjection]] = defaultdict(dict)
    for (shape, rank_a, rank_b), paths in alike.items():
        step = max(1, MEMORY // form_bytes(rank_a + rank_b, shape))
        for start in range(0, len(paths), step):
            some = paths[start : start + step]
            x, y = (canonical_forms([one], some, min(rank, *shape)) for one, rank in ((a, rank_a), (b, rank_b)))
            for i, sparsity in enumerate(sparsities):
                given = sparsity.arguments(some, [a], [b])
                ways = pairwise(x, y, metrics=METRICS, spectra=True, precision=precision, backend=backend, **given)
                for way, source, target, values in ((True, x, y, ways.forward), (False, y, x, ways.backward)):
                    for j, lam in enumerate(sparsity.lams):
                        of_lam = {name: t if name == "d" else t[j] for name, t in (values or {}).items()}
                        found[i, j, way] |= of_modules(some, source, target, of_lam, lam)
                advance(len(some))

    def one_way(i: int, j: int, way: bool) -> Projection:
        modules = tuple(found[i, j, way][path] for path in shared)
        source, target = (a, b) if way else (b, a)
        return summary(source.name, target.name, sparsities[i].lams[j], modules, tuple(skipped))

    return [
        [(one_way(i, j, True), one_way(i, j, False)) for j in range(len(sparsity.lams))]
        for i, sparsity in enumerate(sparsities)
    ]


def summary(
    source: str, target: str, lam: float, modules: tuple[ModuleProjection, ...], skipped: tuple[NotCompared, ...]
) -> Projection:
    """The means over modules, and z."""
    columns = {name: np.array([getattr(module, name) for module in modules]) for name in (*AVERAGED, "rec_chance_sd")}
    means = {name: nan_mean(columns[name]) for name in AVERAGED}
    return Projection(
        source=source,
        target=target,
        lam=lam,
        modules=modules,
        mean={name: float(mean) for name, (mean, _) in means.items()},
        used={name: int(used) for name, (_, used) in means.items()},
        rec_z=float(rec_z(columns["rec"], columns["rec_chance"], columns["rec_chance_sd"])),
        skipped=skipped,
    )


def of_modules(
    paths: Sequence[str], source: LowRankSVD, target: LowRankSVD, values: Mapping[str, Tensor], lam: float
) -> dict[str, ModuleProjection]:
    """The modules at ``paths`` for one λ: source→target of L modules, one adapter each."""
    chance, sd = rec_chance(source.S[:, 0].numpy())
    # draws of a target that is zero are all clipped to nothing; with λ > 0 there is no chance value
    live = (target.S[:, 0] > 0).any(-1).numpy() if lam == 0 else np.nan
    columns = {name: values[name][:, 0, 0].tolist() for name in METRICS}
    columns |= {
        "s1": source.S[:, 0].tolist(),
        "s2": values["spectra"][:, 0, 0].tolist(),
        "entropy": compare_spectra(source.S, source.S, metrics=["entropy"])["entropy"][:, 0].tolist(),
        "rec_chance": (chance * live).tolist(),
        "rec_chance_sd": (sd * live).tolist(),
    }
    return {
        path: ModuleProjection(module=path, **{name: column[i] for name, column in columns.items()})
        for i, path in enumerate(paths)
    }


def match_modules(a: Adapter, b: Adapter) -> tuple[list[str], list[NotCompared]]:
    """Paths of the modules that both have in one shape, and the others with the reason."""
    shared: list[str] = []
    skipped: list[NotCompared] = []
    for path in module_paths([a, b]):
        if path not in a.modules or path not in b.modules:
            skipped.append(NotCompared(path, f"only in {(a if path in a.modules else b).name}"))
        elif a.modules[path].shape != b.modules[path].shape:
            shapes = [f"{m} × {n} in {adapter.name}" for adapter in (a, b) for m, n in [adapter.modules[path].shape]]
            skipped.append(NotCompared(path, " but ".join(shapes)))
        else:
            shared.append(path)
    return shared, skipped


def nan_to_none(value: Any) -> Any:
    """``value`` for JSON: NaN and infinities become None, tuples lists."""
    if isinstance(value, dict):
        return {key: nan_to_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_none(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
