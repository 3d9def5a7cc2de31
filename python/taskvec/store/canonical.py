"""Adapters in canonical form: the factors of many modules, read and factorised a bounded stack at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, lowrank_svd

from ..adapters import Adapter, Cut, Dense, Module, Update
from .ahead import ahead
from .dense import leading
from .entry import FP32_BYTES
from .factors import Form

STACK_BYTES = 16 * 2**20  # of factors that are stacked for one call


def canonical_forms(adapters: Sequence[Adapter], modules: Sequence[str], rank: int, device: str = "cpu") -> Form:
    """Thin SVDs of L modules of N adapters, fp32, padded with zero directions to ``rank`` = k.

    Args:
        adapters: N adapters that have every module.
        modules: L module paths of one shape m × n.
        rank: at least min(r, m, n) of every update.
        device: where they are made and stay.

    Cost:
        ``lowrank_svd`` of L · N matrices; memory is the result and about 192 MiB more (fp64 factors: 384).
    """
    shape = adapters[0].modules[modules[0]].shape
    wanted = [[adapter.modules[path] for adapter in adapters] for path in modules]
    (U, S, Vh), norms = forms_of(wanted, shape, rank, device)
    return Form(LowRankSVD(U, S.float(), Vh), norms)


def forms_of(
    modules: Sequence[Sequence[Module | None]], shape: tuple[int, int], rank: int, device: str = "cpu"
) -> Form:
    """``canonical_forms`` of L × N modules, of which some may be missing: zeros; S in fp64."""
    wanted = [module for row in modules for module in row]  # [L · N]
    m, n = shape
    Ut, Vh = (zeros((len(wanted), rank, size), device) for size in shape)
    S = torch.zeros(len(wanted), rank, dtype=torch.float64, device=device)
    norms = torch.full((len(wanted),), torch.nan, dtype=torch.float64, device=device)
    for rows, b, a, scale, norm in ahead(stacks(wanted)):
        norms[rows] = norm.to(device)
        svd = lowrank_svd(b.to(device), a.to(device), scale.to(device))
        k = svd.S.shape[-1]
        Ut[rows, :k], S[rows, :k], Vh[rows, :k] = svd.U.mT.to(Ut), svd.S.to(S), svd.Vh.to(Vh)
    L, N = len(modules), len(modules[0])
    svd = LowRankSVD(Ut.view(L, N, rank, m).mT, S.view(L, N, rank), Vh.view(L, N, rank, n))
    return Form(svd, norms.view(L, N))


def zeros(size: tuple[int, ...], device: str) -> Tensor:
    """fp32; on the CPU numpy's, which asks for huge pages: a quarter of the time of a batch went into small ones."""
    return torch.from_numpy(np.zeros(size, np.float32)).to(device)


def stacks(modules: Sequence[Module | None]) -> Iterator[tuple[Tensor, ...]]:
    """Positions, B (c, m, r), A (c, r, n), scale (c,), norm (c,) of modules of equal rank, at most STACK_BYTES."""
    alike: dict[int, list[tuple[int, Module]]] = defaultdict(list)
    for i, module in enumerate(modules):
        if module is not None:
            alike[module.rank].append((i, module))
    for rank, some in alike.items():
        step = max(1, STACK_BYTES // (rank * sum(some[0][1].shape) * FP32_BYTES))
        for start in range(0, len(some), step):
            yield from stack(some[start : start + step])


def stack(some: Sequence[tuple[int, Module]]) -> Iterator[tuple[Tensor, ...]]:
    """``stacks`` for modules of equal rank: one for each dtype."""
    by_dtype: dict[torch.dtype, list[tuple[int, float, float, Tensor, Tensor]]] = defaultdict(list)
    for i, module in some:
        b, a, scale, norm = factors(module.update(), module.rank)
        by_dtype[torch.promote_types(b.dtype, a.dtype)].append((i, scale, torch.nan if norm is None else norm, b, a))
    for dtype, items in by_dtype.items():
        rows, scales, norms, bs, as_ = zip(*items, strict=True)
        yield (
            torch.tensor(rows),
            torch.stack([b.to(dtype) for b in bs]),
            torch.stack([a.to(dtype) for a in as_]),
            torch.tensor(scales, dtype=torch.float64),
            torch.tensor(norms, dtype=torch.float64),
        )


def factors(update: Update, rank: int, *, rounding: bool = True) -> tuple[Tensor, Tensor, float, float | None]:
    """B (m, r), A (r, n), the scale, and ‖τ‖ where directions of a dense τ are left out: ``dense.leading``."""
    if not isinstance(update, Dense):
        return update.b, update.a, update.scale, update.norm if isinstance(update, Cut) else None
    b, a, norm = leading(update, rank, rounding=rounding)
    return b, a, 1.0, norm
