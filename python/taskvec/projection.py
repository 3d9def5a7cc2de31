"""``project``: one task vector on the directions of another, module by module and in the mean."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from taskvec_kernels import compare_spectra, pairwise

from .adapters.model import Adapter
from .canonical import canonical_forms
from .errors import TaskvecError
from .grouping import MEMORY, form_bytes, module_paths
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


def project(
    a: Adapter, b: Adapter, lam: float = 0.0, *, precision: str = "highest", backend: str | None = None
) -> Projection:
    """Project the task vectors of ``b`` on the directions of ``a`` (τ₁→τ₂: source a, target b).

    Args:
        a: the source.
        b: the target.
        lam: the sparsity weight λ; only 0 so far.
        precision: "highest" (fp32), "high" or "medium".
        backend: None picks.

    Raises:
        TaskvecError: λ is not 0.

    Cost:
        One factorisation of each module of both, in batches of at most 256 MiB.
    """
    if lam != 0:
        raise TaskvecError("the sparse projection is not yet available", got=f"lambda = {lam}", expected="lambda = 0")
    shared, skipped = match_modules(a, b)
    alike: dict[tuple[tuple[int, int], int, int], list[str]] = defaultdict(list)
    for path in shared:
        alike[a.modules[path].shape, a.modules[path].rank, b.modules[path].rank].append(path)
    found: dict[str, ModuleProjection] = {}
    for (shape, rank_a, rank_b), paths in alike.items():
        step = max(1, MEMORY // form_bytes(rank_a + rank_b, shape))
        for start in range(0, len(paths), step):
            found |= project_modules(a, b, paths[start : start + step], precision, backend)
    modules = tuple(found[path] for path in shared)
    columns = {name: np.array([getattr(module, name) for module in modules]) for name in (*AVERAGED, "rec_chance_sd")}
    means = {name: nan_mean(columns[name]) for name in AVERAGED}
    return Projection(
        source=a.name,
        target=b.name,
        lam=0.0,
        modules=modules,
        mean={name: float(mean) for name, (mean, _) in means.items()},
        used={name: int(used) for name, (_, used) in means.items()},
        rec_z=float(rec_z(columns["rec"], columns["rec_chance"], columns["rec_chance_sd"])),
        skipped=tuple(skipped),
    )


def project_modules(
    a: Adapter, b: Adapter, paths: Sequence[str], precision: str, backend: str | None
) -> dict[str, ModuleProjection]:
    """The modules at ``paths``, which have one shape and, in each adapter, one rank."""
    some, other = a.modules[paths[0]], b.modules[paths[0]]
    x = canonical_forms([a], paths, min(some.rank, *some.shape))
    y = canonical_forms([b], paths, min(other.rank, *other.shape))
    forward, _ = pairwise(x, y, metrics=METRICS, spectra=True, precision=precision, backend=backend)
    chance, sd = rec_chance(x.S[:, 0].numpy())
    # draws of a target that is zero are all clipped to nothing
    live = (y.S[:, 0] > 0).any(-1).numpy()
    columns = {name: forward[name][:, 0, 0].tolist() for name in METRICS}
    columns |= {
        "s1": x.S[:, 0].tolist(),
        "s2": forward["spectra"][:, 0, 0].tolist(),
        "entropy": compare_spectra(x.S, x.S, metrics=["entropy"])["entropy"][:, 0].tolist(),
        "rec_chance": (chance * live).tolist(),
        "rec_chance_sd": (sd * live).tolist(),
    }
    return {
        path: ModuleProjection(module=path, **{name: values[i] for name, values in columns.items()})
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
