"""A batch of adapters to the arrays of a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import LowRankSVD

from ..adapters import Adapter
from .canonical import forms_of
from .entry import Entry, form_bytes
from .factors import Form
from .manifest import ShapeClass, class_name
from .opening import Root
from .pool import Pool

# U, V in canonical form to the arrays of their sketches
Sketch = Callable[[Sequence[str], LowRankSVD[Tensor]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class Arrays:
    """One set of arrays, by name (L, N, …), and which modules are there (L, N)."""

    of: ShapeClass
    present: NDArray[np.bool_]
    values: dict[str, NDArray[np.generic]]


@dataclass
class Factored:
    """A batch in memory.

    Attributes:
        entries: its adapters.
        arrays: their factors.
        errors: of each adapter, by rounding to a half precision.
    """

    entries: tuple[Entry, ...]
    arrays: list[Arrays] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)


def factor(
    adapters: Sequence[Adapter],
    entries: Sequence[Entry],
    root: Root,
    sketch: Sketch | None = None,
    pool: Pool | None = None,
) -> Factored:
    """Factorise a batch, into memory of a pool if one is given.

    Raises:
        TaskvecError: files that have changed since they were checked, or cannot be read.

    Cost:
        ``lowrank_svd`` of every module; memory is the arrays and some 200 MiB.
    """
    made = Factored(tuple(entries), errors=[0.0] * len(entries))
    for name, (modules, places) in classes(entries).items():
        ranks = np.array([[rank_in(entries[i], path, name) for i in places] for path in modules])
        present, rank = ranks > 0, int(ranks.max())
        wanted = [
            [adapters[i].modules[path] if there else None for i, there in zip(places, row, strict=True)]
            for path, row in zip(modules, present, strict=True)
        ]
        shape = next(module.shape for module in wanted[0] if module)
        form = forms_of(wanted, shape, rank, pool=pool)
        cut = frozenset((int(row), int(slot)) for row, slot in (~form.norms.isnan()).nonzero().tolist())
        of = ShapeClass(shape, rank, modules, places, cut)
        values = to_arrays(form, root)
        if root.dtype != "float32":
            for i, error in zip(places, rounding_errors(form.svd, values["U"], values["V"]).tolist(), strict=True):
                made.errors[i] = max(made.errors[i], error)
        if sketch is not None:
            values |= sketch(modules, form.svd)
        made.arrays.append(Arrays(of, present, values))
    return made


def classes(entries: Sequence[Entry]) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """Modules and adapters of every set of arrays that a batch needs, by ``class_name``."""
    found: dict[str, tuple[dict[str, None], dict[int, None]]] = {}
    for i, entry in enumerate(entries):
        for path, module in entry.modules.items():
            modules, places = found.setdefault(class_name(module.shape, module.rank), ({}, {}))
            modules[path] = None
            places[i] = None
    return {name: (tuple(modules), tuple(places)) for name, (modules, places) in found.items()}


def rank_in(entry: Entry, path: str, name: str) -> int:
    """Directions of a module if it lies in these arrays, else 0."""
    module = entry.modules.get(path)
    return module.rank if module and class_name(module.shape, module.rank) == name else 0


def to_arrays(form: Form, root: Root) -> dict[str, NDArray[np.generic]]:
    """U, V by direction, in the store's dtype; S and ‖τ‖ in fp64."""
    U, S, Vh = form.svd
    norm = torch.fmax(torch.linalg.vector_norm(S.double(), dim=-1), form.norms)
    dtype = getattr(torch, root.dtype)
    return {
        "U": U.mT.to(dtype).numpy(),
        "V": Vh.to(dtype).numpy(),
        "S": S.double().numpy(),
        "norm": norm.numpy(),
    }


def rounding_errors(svd: LowRankSVD, U: NDArray[np.generic], V: NDArray[np.generic]) -> Tensor:
    """‖τ̂ − τ‖/‖τ‖ of the worst module of each adapter, (N,), when U and V become these.

    τ̂ − τ = δU S Vᴴ + Û S δVᴴ, whose norm is a sum over the Gram matrices of its four factors.
    """
    worst = torch.zeros(svd.S.shape[1], dtype=torch.float64)
    for row in range(len(U)):
        S = svd.S[row].double()[..., None]  # [N, k, 1]
        u, v = svd.U[row].mT.double(), svd.Vh[row].double()  # [N, k, m], [N, k, n]
        to_u, to_v = (torch.from_numpy(one[row]).double() for one in (U, V))
        a, c = (to_u - u) * S, to_u * S
        d = to_v - v
        square = ((a @ a.mT) * (v @ v.mT) + 2 * (a @ c.mT) * (v @ d.mT) + (c @ c.mT) * (d @ d.mT)).sum((-2, -1))
        relative = (square.clamp(min=0) / S.square().sum((-2, -1))).sqrt()
        worst = torch.fmax(worst, relative)  # NaN of a zero update does not count
    return worst


def factor_bytes(adapter: Adapter | Entry) -> int:
    """Bytes of an adapter's U and V in fp32."""
    return sum(form_bytes(min(module.rank, *module.shape), module.shape) for module in adapter.modules.values())
