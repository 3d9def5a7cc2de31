"""d of a panel of pairs to metrics and spectra: the element-wise kernel behind ``gram``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...metrics import any_needs
from ...solver import Solver
from .launch import ceil_div, next_power_of_2
from .metrics import paired, word
from .sides import Side
from .solve import adam, exact, pair_seed
from .sparse import BYTES as SPARSE_BYTES
from .sparse import constants

SPECTRA_BYTES = 8192  # of a program: more would spill
TARGETS = 8  # of a program, one store of 32 bytes


@triton.jit
def pairs_of(
    d_parts, S, sources, targets, PADDED: tl.constexpr, TARGET_BLOCKS: tl.constexpr, BI: tl.constexpr,
    BJ: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """A program's BI × BJ pairs: module, i, j, which are inside, which of [pairs, K] are live, S₁ and d."""
    across = tl.cdiv(targets, BJ)
    per_module = tl.cdiv(sources, BI) * across
    program = tl.program_id(0)
    module = program // per_module
    place = program - module * per_module
    pair = tl.arange(0, BI * BJ)
    i = (place // across) * BI + pair // BJ
    j = (place % across) * BJ + pair % BJ
    inside = (i < sources) & (j < targets)
    c = tl.arange(0, K)
    live = inside[:, None] & (c[None, :] < PADDED)
    source = module.to(tl.int64) * sources + i
    s1 = tl.load(S + source[:, None] * PADDED + c[None, :], mask=live, other=0.0)
    d = tl.zeros((BI * BJ, K), dtype=s1.dtype)
    row = (module.to(tl.int64) * targets + j) * TARGET_BLOCKS
    for q in tl.static_range(TARGET_BLOCKS):
        at = ((row + q) * sources + i)[:, None] * PADDED + c[None, :]
        d += tl.load(d_parts + at, mask=live, other=0.0)
    return module, i, j, inside, live, s1, d


COUNTS = [
    "module0", "source0", "target0", "sources", "targets", "all_sources", "all_targets", "k", "source_stride",
    "target_stride", "cross_module", "size", "steps",
]  # fmt: skip


@triton.jit(do_not_specialize=COUNTS)
def reduce_pairs(
    d_parts,  # [modules, targets · TARGET_BLOCKS, sources · PADDED]
    S,  # of the sources, [modules, sources, PADDED]
    total,
    norm,
    rank,
    target_norm,
    target_rank,
    source_seed,
    target_seed,
    lam,  # one, fp64; not read when closed
    cross_u,  # of blocks: source block · source_stride + target block · target_stride
    cross_v,
    outs,  # a tuple of [all modules, all sources, all targets]
    spectra_out,  # [all modules, all sources, all targets, k]
    d_out,
    module0,  # where this panel begins in the outputs
    source0,
    target0,
    sources,
    targets,
    all_sources,
    all_targets,
    k,
    source_stride,
    target_stride,
    cross_module,
    size,
    steps,
    METHOD: tl.constexpr,  # "closed": max(0, d)
    SQUARED: tl.constexpr,
    POSITIVE: tl.constexpr,
    START: tl.constexpr,
    RELATIVE: tl.constexpr,
    DECAY: tl.constexpr,
    LR: tl.constexpr,
    TOL: tl.constexpr,
    BETA1: tl.constexpr,
    BETA2: tl.constexpr,
    EPS: tl.constexpr,
    P: tl.constexpr,  # of lp
    NAMES: tl.constexpr,  # words
    COUNT: tl.constexpr,  # of them
    SPECTRA: tl.constexpr,
    OVERLAPS: tl.constexpr,
    PADDED: tl.constexpr,
    SOURCE_BLOCKS: tl.constexpr,
    TARGET_BLOCKS: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
    K: tl.constexpr,
):
    module, i, j, inside, live, s1, d = pairs_of(d_parts, S, sources, targets, PADDED, TARGET_BLOCKS, BI, BJ, K)
    c = tl.arange(0, K)
    source = module.to(tl.int64) * sources + i
    target = module.to(tl.int64) * targets + j
    tau_norm = tl.load(target_norm + target, mask=inside, other=1.0)
    if METHOD == "closed":
        s2 = tl.where(d < 0, 0.0, d)
    else:
        weight = tl.load(lam) + tl.zeros((BI * BJ,), tl.float64)
        if METHOD == "exact":
            s2, _loss, _taken = exact(d, tau_norm, weight, SQUARED)
        else:
            seed = tl.zeros((BI * BJ,), tl.uint64)
            if START == "normal":
                own = tl.load(source_seed + source, mask=inside, other=0)
                seed = pair_seed(own, tl.load(target_seed + target, mask=inside, other=0))
            s2, _loss, _taken, _converged = adam(
                d, tau_norm, weight, seed, live & (c[None, :] < k), steps, SQUARED, POSITIVE, START, RELATIVE, DECAY,
                LR, TOL, BETA1, BETA2, EPS, K,
            )  # fmt: skip
    u = tl.zeros((BI * BJ,), dtype=s1.dtype)
    v = tl.zeros((BI * BJ,), dtype=s1.dtype)
    if OVERLAPS:
        for a in tl.static_range(SOURCE_BLOCKS):
            for b in tl.static_range(TARGET_BLOCKS):
                at = (i * SOURCE_BLOCKS + a).to(tl.int64) * source_stride
                at += (j * TARGET_BLOCKS + b).to(tl.int64) * target_stride + module.to(tl.int64) * cross_module
                u += tl.load(cross_u + at, mask=inside, other=0.0)
                v += tl.load(cross_v + at, mask=inside, other=0.0)

    sum1 = tl.load(total + source, mask=inside, other=1.0)
    source_norm = tl.load(norm + source, mask=inside, other=1.0)
    r = tl.load(rank + source, mask=inside, other=1.0)
    r_target = tl.load(target_rank + target, mask=inside, other=1.0)
    sum2 = tl.sum(s2, axis=1)
    inner = tl.sum(s1 * d, axis=1)
    mn = size.to(s1.dtype)
    out = ((module0 + module).to(tl.int64) * all_sources + source0 + i) * all_targets + target0 + j
    for n in tl.static_range(COUNT):
        value = paired(word(NAMES, n), s1, s2, d, sum1, sum2, source_norm, tau_norm, r, r_target, inner, u, v, mn, P)
        tl.store(outs[n] + out, value, mask=inside)
    if SPECTRA:
        keep = inside[:, None] & (c[None, :] < k)
        tl.store(spectra_out + out[:, None] * k + c[None, :], s2, mask=keep)
        tl.store(d_out + out[:, None] * k + c[None, :], d, mask=keep)


def reduce(
    d: Tensor,
    cross: tuple[Tensor, Tensor],
    cross_strides: tuple[int, int],  # of source blocks and target blocks
    source: Side,
    target: Side,
    blocks: tuple[int, int],  # of a source and of a target
    outs: Mapping[str, Tensor],  # by metric, and "spectra" and "d"
    origin: tuple[int, int, int],  # module, source and target at which the panel begins
    k: int,
    size: int,
    p: float | None,
    lam: Tensor,  # fp64, one; anything where there is no solver
    solver: Solver | None,  # None: the closed form of λ = 0
) -> None:
    """One direction of a panel for one λ into its place of the outputs [modules, sources, targets(, k)]."""
    modules, sources, padded = source.S.shape
    targets = target.norm.shape[1]
    names = tuple(name for name in outs if name not in ("spectra", "d"))
    anything = next(iter(outs.values()))
    all_sources, all_targets = anything.shape[1:3]
    K = next_power_of_2(padded)
    room = SPECTRA_BYTES if solver is None else SPARSE_BYTES
    chosen = {**constants(Solver()), "METHOD": "closed"} if solver is None else constants(solver)
    BI = max(1, room // (anything.element_size() * TARGETS * K))
    grid = (modules * ceil_div(sources, BI) * ceil_div(targets, TARGETS),)
    spectra = "spectra" in outs
    infinite = p is not None and p == float("inf")
    reduce_pairs[grid](
        d, source.S, source.total, source.norm, source.rank, target.norm, target.rank,
        source.seed, target.seed, lam, *cross,
        tuple(outs[name] for name in names), outs["spectra"] if spectra else d, outs["d"] if spectra else d,
        *origin, sources, targets, all_sources, all_targets, k, *cross_strides, cross[0].stride(0),
        size, 0 if solver is None else solver.steps, **chosen, P=1.0 if p is None or infinite else float(p),
        NAMES=" ".join("linf" if name == "lp" and infinite else name for name in names), COUNT=len(names),
        SPECTRA=spectra, OVERLAPS=any_needs(names, "cross"), PADDED=padded,
        SOURCE_BLOCKS=blocks[0], TARGET_BLOCKS=blocks[1], BI=BI, BJ=TARGETS, K=K,
        num_warps=8 if anything.element_size() * TARGETS * K > room else 4, maxnreg=255,
    )  # fmt: skip


def outputs(
    metrics: list[str],
    spectra: bool,
    lams: int,
    shape: tuple[int, ...],
    k: int,
    dtype: torch.dtype,
    device: torch.device,
    given: Iterator[Tensor] | None,
) -> dict[str, Tensor]:
    """Outputs of one direction, (L, ..., N, M) and (L, ..., N, M, k), d without L: the next given, or fresh ones."""
    sizes = {name: (lams, *shape) for name in metrics}
    if spectra:
        sizes |= {"spectra": (lams, *shape, k), "d": (*shape, k)}
    return {
        name: next(given) if given else torch.empty(size, dtype=dtype, device=device) for name, size in sizes.items()
    }
