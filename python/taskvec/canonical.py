"""Adapters in canonical form: the factors of many modules, read and factorised a bounded batch at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, lowrank_svd

from .adapters.model import Adapter, Module

STACK = 64 * 2**20  # bytes of factors that are stacked for one call


def canonical_forms(adapters: Sequence[Adapter], modules: Sequence[str], rank: int, device: str = "cpu") -> LowRankSVD:
    """Thin SVDs of L modules of N adapters, fp32, padded with zero directions to ``rank`` = k.

    Args:
        adapters: N adapters that have every module.
        modules: L module paths of one shape m × n.
        rank: at least min(r, m, n) of every factor.
        device: where they are made and stay.

    Returns:
        U (L, N, m, k), a transposed view of memory by direction, S (L, N, k), Vh (L, N, k, n).

    Cost:
        ``lowrank_svd`` of L · N matrices; memory is the result and about 192 MiB besides (fp64 factors: 384).
    """
    wanted = [adapter.modules[path] for path in modules for adapter in adapters]  # [L · N]
    m, n = wanted[0].shape
    sizes = ((rank, m), (rank,), (rank, n))
    Ut, S, Vh = (torch.zeros(len(wanted), *size, device=device) for size in sizes)
    for rows, b, a, scale in stacks(wanted):
        svd = lowrank_svd(b.to(device), a.to(device), scale.to(device))
        k = svd.S.shape[-1]
        Ut[rows, :k], S[rows, :k], Vh[rows, :k] = svd.U.mT.to(Ut), svd.S.to(S), svd.Vh.to(Vh)
    L, N = len(modules), len(adapters)
    return LowRankSVD(Ut.view(L, N, rank, m).mT, S.view(L, N, rank), Vh.view(L, N, rank, n))


def stacks(modules: Sequence[Module]) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Positions, B (c, m, r), A (c, r, n) and scale (c,) of modules of equal rank and dtype, at most STACK bytes."""
    alike: dict[int, list[int]] = defaultdict(list)
    for i, module in enumerate(modules):
        alike[module.rank].append(i)
    for rank, rows in alike.items():
        step = max(1, STACK // (rank * sum(modules[0].shape) * 4))
        for start in range(0, len(rows), step):
            yield from stack([(i, modules[i]) for i in rows[start : start + step]])


def stack(some: Sequence[tuple[int, Module]]) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    factors: dict[torch.dtype, list[tuple[int, float, Tensor, Tensor]]] = defaultdict(list)
    for i, module in some:
        b, a = module.factors()
        factors[torch.promote_types(b.dtype, a.dtype)].append((i, module.scale, b, a))
    for dtype, items in factors.items():
        rows, scales, bs, as_ = zip(*items, strict=True)
        yield (
            torch.tensor(rows),
            torch.stack([b.to(dtype) for b in bs]),
            torch.stack([a.to(dtype) for a in as_]),
            torch.tensor(scales, dtype=torch.float64),
        )
