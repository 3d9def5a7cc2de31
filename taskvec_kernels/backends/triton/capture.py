"""How much of each target its sources hold, from the Gram blocks that ``gram`` kept: an element-wise kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import triton
import triton.language as tl
from torch import Tensor

from .launch import ceil_div
from .metrics import share, word
from .reduce import Side

NAMES = ("captured", "captured_out", "captured_in")
ELEMENTS = 8192  # of the blocks of M that a program holds


@dataclass(frozen=True)
class Grams:
    """Gram blocks of a panel, [modules, rows of x, rows of y]; ``half``: x is y, and only pairs i ≥ j are there."""

    u: Tensor
    v: Tensor
    half: bool


COUNTS = ["module0", "source0", "target0", "sources", "targets", "all_sources", "all_targets", "rows", "columns",
          "k_target"]  # fmt: skip


@triton.jit(do_not_specialize=COUNTS)
def capture_pairs(
    gram_u,  # [modules, rows, columns]
    gram_v,
    S,  # of the targets, [modules, targets, TARGET]
    norm,  # ‖τ‖ of the targets, [modules, targets]
    rank,  # of the sources, [modules, sources]
    outs,  # a tuple of [all modules, all sources, all targets]
    module0,
    source0,
    target0,
    sources,
    targets,
    all_sources,
    all_targets,
    rows,
    columns,
    k_target,
    NAMES: tl.constexpr,  # words
    COUNT: tl.constexpr,
    TURNED: tl.constexpr,  # the sources are the columns
    HALF: tl.constexpr,
    SOURCE: tl.constexpr,  # padded directions of a source
    TARGET: tl.constexpr,
    R: tl.constexpr,  # of the source at a time
    PAIRS: tl.constexpr,
):
    """M = G (S/‖τ‖) Hᵀ by outer products, a direction of the target at a time."""
    count = sources * targets
    per_module = tl.cdiv(count, PAIRS)
    program = tl.program_id(0)
    module = program // per_module
    pair = (program - module * per_module) * PAIRS + tl.arange(0, PAIRS)
    inside = pair < count
    i = pair // targets
    j = pair - i * targets
    by_rows = (i * SOURCE).to(tl.int64) * columns + j * TARGET
    by_columns = (j * TARGET).to(tl.int64) * columns + i * SOURCE
    turned = i < j if HALF else (i < 0) | TURNED  # the block is there as its transpose
    first = tl.where(turned, by_columns, by_rows) + module.to(tl.int64) * rows * columns
    source_step = tl.where(turned, 1, columns).to(tl.int64)
    target_step = tl.where(turned, columns, 1).to(tl.int64)
    target = module.to(tl.int64) * targets + j
    tau_norm = tl.load(norm + target, mask=inside, other=1.0)
    r = tl.load(rank + module.to(tl.int64) * sources + i, mask=inside, other=1.0)
    a = tl.arange(0, R)
    block = tl.zeros((PAIRS,), dtype=tau_norm.dtype)
    left = tl.zeros((PAIRS,), dtype=tau_norm.dtype)
    right = tl.zeros((PAIRS,), dtype=tau_norm.dtype)
    for p in tl.static_range(0, SOURCE, R):
        at_p = first[:, None] + (p + a)[None, :] * source_step[:, None]  # [PAIRS, R]
        for q in tl.static_range(0, SOURCE, R):
            at_q = first[:, None] + (q + a)[None, :] * source_step[:, None]
            M = tl.zeros((PAIRS, R, R), dtype=tau_norm.dtype)
            for direction in tl.range(0, k_target):
                unit = tl.load(S + target * TARGET + direction, mask=inside, other=0.0) / tau_norm
                step = direction * target_step[:, None]
                u = tl.load(gram_u + at_p + step, mask=inside[:, None], other=0.0) * unit[:, None]
                v = tl.load(gram_v + at_q + step, mask=inside[:, None], other=0.0)
                M += u[:, :, None] * v[:, None, :]
                if q == 0:
                    left += tl.sum(u * u, axis=1)
                if p == 0:
                    v *= unit[:, None]
                    right += tl.sum(v * v, axis=1)
            block += tl.sum(tl.sum(M * M, axis=2), axis=1)
    out = ((module0 + module).to(tl.int64) * all_sources + source0 + i) * all_targets + target0 + j
    for n in tl.static_range(COUNT):
        tl.store(outs[n] + out, share(word(NAMES, n), block, left, right, r, tau_norm), mask=inside)


def capture(
    grams: Grams,
    turned: bool,  # the sources are y
    source: Side,
    target: Side,
    outs: Mapping[str, Tensor],  # the shares that are wanted
    origin: tuple[int, int, int],
    k_target: int,
) -> None:
    """One direction of a panel into its place of the outputs [modules, sources, targets]."""
    modules, sources, padded = source.S.shape
    targets = target.norm.shape[1]
    anything = next(iter(outs.values()))
    R = min(64, padded)
    pairs = max(1, 4 * ELEMENTS // (R * R * anything.element_size()))
    grid = (modules * ceil_div(sources * targets, pairs),)
    capture_pairs[grid](
        grams.u, grams.v, target.S, target.norm, source.rank, tuple(outs.values()), *origin, sources, targets,
        *anything.shape[1:], *grams.u.shape[1:], k_target, NAMES=" ".join(outs), COUNT=len(outs), TURNED=turned,
        HALF=grams.half, SOURCE=padded, TARGET=target.S.shape[2], R=R, PAIRS=pairs,
        num_warps=anything.element_size(),  # with four, blocks in fp64 spill
    )  # fmt: skip
