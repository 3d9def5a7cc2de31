"""Adapters in canonical form: the factors of many modules, read and factorised a bounded stack at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import LowRankSVD, lowrank_svd

from ..adapters import Adapter, Cut, Dense, Module, Update
from .ahead import ahead
from .consecutive import consecutive
from .dense import leading
from .entry import FP32_BYTES
from .factors import Form
from .pool import Pool

STACK_BYTES = 16 * 2**20  # of factors that are stacked for one call, at most
CACHED_BYTES = 2 * 2**20  # enough for one call: what is stacked and what is made of it stay in a core's cache
EACH = 8  # matrices a thread that are enough
Rows = slice | NDArray[np.intp]


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
    modules: Sequence[Sequence[Module | None]],
    shape: tuple[int, int],
    rank: int,
    device: str = "cpu",
    pool: Pool | None = None,
) -> Form:
    """``canonical_forms`` of L × N modules, of which some may be missing: zeros; S in fp64. U and V may be a pool's."""
    wanted = [module for row in modules for module in row]  # [L · N]
    m, n = shape
    sizes = [(len(wanted), rank, length) for length in shape]
    Ut, Vh = (zeros(size, device, pool) for size in sizes)
    S = torch.zeros(len(wanted), rank, dtype=torch.float64, device=device)
    norms = torch.full((len(wanted),), torch.nan, dtype=torch.float64, device=device)
    for rows, b, a, scale, norm in ahead(stacks(wanted)):
        norms[rows] = norm.to(device)
        given = b.to(device), a.to(device), scale.to(device)
        if isinstance(rows, slice) and b.dtype != torch.float64:  # where the factors stay
            k = min(b.shape[2], m, n)
            out = LowRankSVD(Ut[rows, :k].mT, torch.empty(len(b), k, device=device), Vh[rows, :k])
            put(S, rows, lowrank_svd(*given, out=out).S)
        else:
            svd = lowrank_svd(*given)
            for target, source in ((Ut, svd.U.mT), (S, svd.S), (Vh, svd.Vh)):
                put(target, rows, source)
    L, N = len(modules), len(modules[0])
    svd = LowRankSVD(Ut.view(L, N, rank, m).mT, S.view(L, N, rank), Vh.view(L, N, rank, n))
    return Form(svd, norms.view(L, N))


def zeros(size: tuple[int, ...], device: str, pool: Pool | None = None) -> Tensor:
    """fp32; on the CPU numpy's, which asks for huge pages: a quarter of the time of a batch went into small ones."""
    if pool is None:
        return torch.from_numpy(np.zeros(size, np.float32)).to(device)
    made = pool.empty(size)
    made.fill(0)
    return torch.from_numpy(made).to(device)


def put(target: Tensor, rows: Rows, source: Tensor) -> None:
    """Copy to the leading directions of some rows; on the CPU by numpy, for torch's threads spin where they wait."""
    k = source.shape[1]
    if target.is_cpu:
        target.numpy()[rows, :k] = source.numpy()
    else:
        target[rows, :k] = source.to(target)


class Stack(NamedTuple):
    """c modules of equal rank."""

    rows: Rows  # where they were
    b: Tensor  # [c, m, r]
    a: Tensor  # [c, r, n]
    scale: Tensor  # [c]
    norm: Tensor  # [c]


def stacks(modules: Sequence[Module | None]) -> Iterator[Stack]:
    """Modules of equal rank together, at most STACK_BYTES."""
    alike: dict[int, list[tuple[int, Module]]] = defaultdict(list)
    for i, module in enumerate(modules):
        if module is not None:
            alike[module.rank].append((i, module))
    for rank, some in alike.items():
        each = rank * sum(some[0][1].shape) * FP32_BYTES
        enough = max(CACHED_BYTES, EACH * torch.get_num_threads() * each)
        step = max(1, min(STACK_BYTES, enough) // each)
        for start in range(0, len(some), step):
            yield from stack(some[start : start + step])


def stack(some: Sequence[tuple[int, Module]]) -> Iterator[Stack]:
    """``stacks`` for modules of equal rank: one for each dtype."""
    by_dtype: dict[torch.dtype, list[tuple[int, float, float, Tensor, Tensor]]] = defaultdict(list)
    for i, module in some:
        b, a, scale, norm = factors(module.update(), module.rank)
        by_dtype[torch.promote_types(b.dtype, a.dtype)].append((i, scale, torch.nan if norm is None else norm, b, a))
    for dtype, items in by_dtype.items():
        rows, scales, norms, bs, as_ = zip(*items, strict=True)
        yield Stack(
            consecutive(np.array(rows, np.intp)),
            together(bs, dtype),
            together(as_, dtype),
            torch.tensor(scales, dtype=torch.float64),
            torch.tensor(norms, dtype=torch.float64),
        )


def together(matrices: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """``torch.stack`` of what is on the CPU, by numpy: see ``put``."""
    bits = torch.int16 if dtype == torch.bfloat16 else dtype  # numpy has no bfloat16
    return torch.from_numpy(np.stack([one.detach().to(dtype).view(bits).numpy() for one in matrices])).view(dtype)


def factors(update: Update, rank: int, *, rounding: bool = True) -> tuple[Tensor, Tensor, float, float | None]:
    """B (m, r), A (r, n), the scale, and ‖τ‖ where directions of a dense τ are left out: ``dense.leading``."""
    if not isinstance(update, Dense):
        return update.b, update.a, update.scale, update.norm if isinstance(update, Cut) else None
    b, a, norm = leading(update, rank, rounding=rounding)
    return b, a, 1.0, norm
