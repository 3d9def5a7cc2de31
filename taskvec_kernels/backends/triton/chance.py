"""The chance of REC: its mean and deviation over the sign patterns of |d|.

A lane holds all directions of its pairs, so that sums over them need no shuffles, and masks are shared by its pairs. A
pattern is computed together with its complement: each direction belongs to one of the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...sign_patterns import EXACT, array_columns, bits
from .launch import ceil_div, next_power_of_2
from .metrics import over_signs, word
from .sides import Side

NAMES = ("rec_chance", "rec_chance_sd")
BYTES = 4096  # of |d| of a program


@triton.constexpr_function
def number(words: str, index: int) -> int:
    return int(words.split()[index])


@triton.jit
def parity(x):
    x = x ^ (x >> 16)
    x = x ^ (x >> 8)
    x = x ^ (x >> 4)
    x = x ^ (x >> 2)
    return (x ^ (x >> 1)) & 1


COUNTS = ["module0", "source0", "target0", "sources", "targets", "all_sources", "all_targets", "least", "most", "step"]


@triton.jit(do_not_specialize=COUNTS)
def chance_pairs(
    d_parts,  # [modules, targets · TARGET_BLOCKS, sources · PADDED]
    S,  # of the sources, [modules, sources, PADDED]
    total,
    outs,  # a tuple of [all modules, all sources, all targets]
    module0,
    source0,
    target0,
    sources,
    targets,
    all_sources,
    all_targets,
    least,  # directions of the pairs that have these patterns
    most,
    step,  # 1: a compiler that knew it would give a pair's directions to several lanes
    NAMES: tl.constexpr,
    COUNT: tl.constexpr,
    PADDED: tl.constexpr,
    TARGET_BLOCKS: tl.constexpr,
    PAIRS: tl.constexpr,
    K: tl.constexpr,
    HALF: tl.constexpr,  # patterns without their complements
    UNROLL: tl.constexpr,  # patterns of a step, which share their masks but for constants
    ARRAY: tl.constexpr,  # columns of the orthogonal array, as words; none: every pattern
    ARRAY_COUNT: tl.constexpr,
    TINY: tl.constexpr,
):
    count = sources * targets
    per_module = tl.cdiv(count, PAIRS)
    program = tl.program_id(0)
    module = program // per_module
    pair = (program - module * per_module) * PAIRS + tl.arange(0, PAIRS)
    inside = pair < count
    i = pair // targets
    j = pair - i * targets
    c = tl.arange(0, K)
    live = inside[:, None] & (c[None, :] < PADDED)
    source = module.to(tl.int64) * sources + i
    along = (c * step)[None, :]
    s1 = tl.load(S + (source * PADDED)[:, None] + along, mask=live, other=0.0)
    d = tl.zeros((PAIRS, K), dtype=s1.dtype)
    row = (module.to(tl.int64) * targets + j) * TARGET_BLOCKS
    for q in tl.static_range(TARGET_BLOCKS):
        d += tl.load(d_parts + (((row + q) * sources + i) * PADDED)[:, None] + along, mask=live, other=0.0)
    d = tl.abs(d)
    sum1 = tl.load(total + source, mask=inside, other=1.0)
    rank = tl.max(tl.where((s1 == 0) & (d == 0), 0, c[None, :] + 1), axis=1)
    mine = inside & (rank >= least) & (rank <= most)
    share = tl.where(sum1[:, None] == 0, 0.0, s1 / sum1[:, None])
    largest = tl.max(d, axis=1)
    d = d / tl.where(largest > 0, largest, 1.0)[:, None]  # of a pattern and its complement one sum is at least 1
    column = HALF >> tl.minimum(c, 31)  # the last directions change fastest: the sums of the first are shared
    for n in tl.static_range(ARRAY_COUNT):
        column = tl.where(c == n, number(ARRAY, n), column)
    mean = tl.zeros((PAIRS,), dtype=s1.dtype)
    square = tl.zeros((PAIRS,), dtype=s1.dtype)
    for x in tl.range(0, tl.where(tl.sum(mine.to(tl.int32), axis=0) > 0, HALF, 0), UNROLL):
        base = parity(column & x)
        for y in tl.static_range(UNROLL):
            kept = (base ^ parity(column & y))[None, :]
            on = kept.to(s1.dtype)
            off = 1.0 - on
            sum_on = tl.maximum(tl.sum(on * d, axis=1), TINY)
            sum_off = tl.maximum(tl.sum(off * d, axis=1), TINY)
            both = 1.0 / (sum_on * sum_off)
            inverse = tl.where(kept == 1, (both * sum_off)[:, None], (both * sum_on)[:, None])
            shared = tl.minimum(share, d * inverse, propagate_nan=tl.PropagateNan.ALL)
            rec_on = tl.sum(on * shared, axis=1) - 0.5  # around ½, so that the variance does not cancel
            rec_off = tl.sum(off * shared, axis=1) - 0.5
            mean += rec_on + rec_off
            square += rec_on * rec_on + rec_off * rec_off
    mean = mean / (2.0 * HALF)
    variance = square / (2.0 * HALF) - mean * mean
    out = ((module0 + module).to(tl.int64) * all_sources + source0 + i) * all_targets + target0 + j
    for n in tl.static_range(COUNT):
        tl.store(outs[n] + out, over_signs(word(NAMES, n), mean, variance), mask=mine)


def ranges(k: int) -> Iterator[tuple[int, int, int]]:
    """(least, most, bits) of the pairs of up to k directions that share their patterns."""
    yield 0, min(k, EXACT), bits(min(k, EXACT))
    least, most = EXACT + 1, 256
    while least <= k:
        yield least, most, bits(most)
        least, most = most + 1, 2 * most


@lru_cache(maxsize=32)
def array_words(count: int, width: int) -> str:
    """Columns as a kernel's constant: a table in memory would be a copy to the GPU."""
    return " ".join(map(str, array_columns(count, width)))


def chance(
    d: Tensor,
    source: Side,
    target: Side,
    target_blocks: int,
    outs: Mapping[str, Tensor],  # rec_chance and rec_chance_sd, those that are wanted
    origin: tuple[int, int, int],
    k: int,
) -> None:
    """One direction of a panel into its place of the outputs [modules, sources, targets]."""
    modules, sources, padded = source.S.shape
    targets = target.norm.shape[1]
    anything = next(iter(outs.values()))
    K, size = next_power_of_2(padded), anything.element_size()
    pairs = max(1, BYTES // (size * K))
    unroll = 4 if size * K < 256 else 2 if size == 4 else 1  # more spill
    grid = (modules * ceil_div(sources * targets, pairs),)
    for least, most, width in ranges(k):
        count = 0 if most <= EXACT else min(next_power_of_2(k), most)
        half = 2 ** (width - 1)
        chance_pairs[grid](
            d, source.S, source.total, tuple(outs.values()), *origin, sources, targets, *anything.shape[1:],
            least, most, 1, NAMES=" ".join(outs), COUNT=len(outs), PADDED=padded, TARGET_BLOCKS=target_blocks,
            PAIRS=pairs, K=K, HALF=half, UNROLL=min(unroll, half), ARRAY=array_words(count, width - 1),
            ARRAY_COUNT=count, TINY=torch.finfo(anything.dtype).tiny, num_warps=1,
        )  # fmt: skip
