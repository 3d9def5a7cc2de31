"""How much of each target its sources hold, both directions from the Gram blocks that ``gram`` kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import triton
import triton.language as tl
from torch import Tensor

from .launch import ceil_div
from .metrics import share, word
from .sides import Side

NAMES = ("captured", "captured_out", "captured_in")
BLOCK = 64  # directions of an adapter at a time
LEAST = 16  # directions of a product of the tensor cores
ELEMENTS = 8192  # of M in fp32, of the pairs of a program


@dataclass(frozen=True)
class Grams:
    """Gram blocks of a panel, [modules, rows of x, rows of y]; ``half``: x is y, and only pairs i ≥ j are there."""

    u: Tensor
    v: Tensor
    half: bool


COUNTS = [
    "module0", "source0", "target0", "sources", "targets", "all_sources", "all_targets", "rows", "columns", "k_x", "k_y"
]  # fmt: skip


@triton.jit(do_not_specialize=COUNTS)
def capture_pairs(
    gram_u,  # [modules, rows, columns]
    gram_v,
    S_x,  # [modules, sources, RX]
    norm_x,  # ‖τ‖, [modules, sources]
    rank_x,
    S_y,  # [modules, targets, RY]
    norm_y,
    rank_y,
    forward,  # a tuple of [all modules, all sources, all targets]
    backward,  # a tuple of [all modules, all targets, all sources]
    module0,
    source0,
    target0,
    sources,
    targets,
    all_sources,
    all_targets,
    rows,
    columns,
    k_x,  # directions of an x
    k_y,
    NAMES: tl.constexpr,  # words
    COUNT: tl.constexpr,
    HALF: tl.constexpr,
    RX: tl.constexpr,  # padded directions of an x
    RY: tl.constexpr,
    BX: tl.constexpr,  # of them at a time as a source
    BY: tl.constexpr,
    KX: tl.constexpr,  # and as a target
    KY: tl.constexpr,
    PAIRS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    count = sources * targets
    per_module = tl.cdiv(count, PAIRS)
    program = tl.program_id(0)
    module = program // per_module
    pair = (program - module * per_module) * PAIRS + tl.arange(0, PAIRS)
    i = pair // targets
    j = pair - i * targets
    inside = pair < count
    if HALF:
        inside = inside & (j <= i)
    if tl.sum(inside.to(tl.int32), axis=0) > 0:
        first = (module.to(tl.int64) * rows + i * RX) * columns + j * RY
        x = module.to(tl.int64) * sources + i
        y = module.to(tl.int64) * targets + j
        length_x = tl.load(norm_x + x, mask=inside, other=1.0)
        length_y = tl.load(norm_y + y, mask=inside, other=1.0)
        r_x = tl.load(rank_x + x, mask=inside, other=1.0)
        r_y = tl.load(rank_y + y, mask=inside, other=1.0)
        m = (module0 + module).to(tl.int64)
        block, left, right = held(
            gram_u + first, gram_v + first, columns, 1, S_y + y * RY, length_y, inside, k_y, RX, RY, BX, KY, PRECISION
        )
        out = (m * all_sources + source0 + i) * all_targets + target0 + j
        for n in tl.static_range(COUNT):
            tl.store(forward[n] + out, share(word(NAMES, n), block, left, right, r_x, length_y), mask=inside)
        block, left, right = held(
            gram_u + first, gram_v + first, 1, columns, S_x + x * RX, length_x, inside, k_x, RY, RX, BY, KX, PRECISION
        )
        out = (m * all_targets + target0 + j) * all_sources + source0 + i
        for n in tl.static_range(COUNT):
            tl.store(backward[n] + out, share(word(NAMES, n), block, left, right, r_y, length_x), mask=inside)


@triton.jit
def held(
    G, H, source_step, target_step, S, length, inside, count,
    SOURCE: tl.constexpr, TARGET: tl.constexpr, BS: tl.constexpr, BT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """‖M‖² of M = G (S/‖τ‖) Hᵀ, ‖G S/‖τ‖‖² and ‖H S/‖τ‖‖² of each pair."""
    PAIRS: tl.constexpr = length.shape[0]
    STAGES: tl.constexpr = 3 if BT == 1 else 1  # loads ahead of a product spill
    scale = 1.0 / length
    stop = TARGET
    if BT == 1:
        stop = count
    block = tl.zeros((PAIRS,), dtype=length.dtype)
    left = tl.zeros((PAIRS,), dtype=length.dtype)
    right = tl.zeros((PAIRS,), dtype=length.dtype)
    for p in tl.range(0, SOURCE, BS):
        for q in tl.range(0, SOURCE, BS):
            M = tl.zeros((PAIRS, BS, BS), dtype=length.dtype)
            for k in tl.range(0, stop, BT, num_stages=STAGES):
                c = k + tl.arange(0, BT)
                unit = tl.load(S[:, None] + c[None, :], mask=inside[:, None] & (c < TARGET)[None, :], other=0.0)
                unit = (unit * scale[:, None])[:, None, :]
                g = strip(G, p, k, source_step, target_step, inside, SOURCE, TARGET, BS, BT) * unit
                h = strip(H, q, k, source_step, target_step, inside, SOURCE, TARGET, BS, BT)
                M = product(g, h, M, PRECISION)
                if q == 0:
                    left += entries(g * g)
                if p == 0:
                    h *= unit
                    right += entries(h * h)
            block += entries(M * M)
    return block, left, right


@triton.jit
def strip(
    gram, p, k, source_step, target_step, inside,
    SOURCE: tl.constexpr, TARGET: tl.constexpr, BS: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """[PAIRS, BS, BT] of the blocks."""
    a = p + tl.arange(0, BS)
    c = k + tl.arange(0, BT)
    at = a[:, None].to(tl.int64) * source_step + c[None, :].to(tl.int64) * target_step
    live = inside[:, None, None] & ((a < SOURCE)[:, None] & (c < TARGET)[None, :])[None, :, :]
    return tl.load(gram[:, None, None] + at[None, :, :], mask=live, other=0.0)


@triton.jit
def product(g, h, M, PRECISION: tl.constexpr):
    """M + g hᵀ of each pair."""
    if g.shape[2] == 1:
        return M + g * tl.permute(h, (0, 2, 1))
    elif g.shape[0] == 1:  # of three dimensions the warps share the first
        one = tl.reshape(g, (g.shape[1], g.shape[2]))
        other = tl.reshape(h, (h.shape[1], h.shape[2]))
        sums = tl.reshape(M, (M.shape[1], M.shape[2]))
        return tl.reshape(tl.dot(one, other.T, sums, input_precision=PRECISION, out_dtype=M.dtype), M.shape)
    else:
        return tl.dot(g, tl.permute(h, (0, 2, 1)), M, input_precision=PRECISION, out_dtype=M.dtype)


@triton.jit
def entries(x):
    return tl.sum(tl.sum(x, axis=2), axis=1)


def capture(
    grams: Grams,
    x: Side,
    y: Side,
    forward: Mapping[str, Tensor],  # the shares that are wanted
    backward: Mapping[str, Tensor],  # the same of y→x
    origin: tuple[int, int, int],
    k: tuple[int, int],  # directions of an x and of a y
    most: int,  # bytes of an adapter's spectrum for which the products of its blocks fit the registers
) -> None:
    """A panel into its places of the outputs, [modules, sources, targets] and [modules, targets, sources]."""
    modules, sources, RX = x.S.shape
    targets, RY = y.S.shape[1:]
    anything = next(iter(forward.values()))
    single = anything.element_size() == 4
    more = max(RX, RY)
    if LEAST <= more <= most // anything.element_size():  # outer products of so many directions take twice as long
        BX, BY = KX, KY = max(LEAST, RX), max(LEAST, RY)
        pairs, warps = 1, 8 if more == BLOCK else 4
    else:
        (BX, KX), (BY, KY) = (min(BLOCK, RX), 1), (min(BLOCK, RY), 1)
        pairs = max(1, 4 * ELEMENTS // (min(BLOCK, more) ** 2 * anything.element_size()))
        warps = anything.element_size()  # with four, blocks in fp64 spill
    grid = (modules * ceil_div(sources * targets, pairs),)
    capture_pairs[grid](
        grams.u, grams.v, x.S, x.norm, x.rank, y.S, y.norm, y.rank, tuple(forward.values()), tuple(backward.values()),
        *origin, sources, targets, *anything.shape[1:], *grams.u.shape[1:], *k,
        NAMES=" ".join(forward), COUNT=len(forward), HALF=grams.half, RX=RX, RY=RY, BX=BX, BY=BY, KX=KX, KY=KY,
        PAIRS=pairs, PRECISION="tf32x3" if single else "ieee", num_warps=warps, maxnreg=255,
    )  # fmt: skip
