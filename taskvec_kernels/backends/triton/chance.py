"""The chance of REC: its mean and deviation over the sign patterns of |d|, a pattern at a time for a block of pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import triton
import triton.language as tl
from torch import Tensor

from ...sign_patterns import EXACT, array_columns, bits
from .launch import ceil_div, next_power_of_2
from .metrics import over_signs, rec, word
from .reduce import TARGETS, Side, pairs_of

NAMES = ("rec_chance", "rec_chance_sd")
SPECTRA_BYTES = 4096  # of a program


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


COUNTS = ["module0", "source0", "target0", "sources", "targets", "all_sources", "all_targets", "least", "most",
          "patterns"]  # fmt: skip


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
    patterns,
    NAMES: tl.constexpr,
    COUNT: tl.constexpr,
    PADDED: tl.constexpr,
    TARGET_BLOCKS: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
    K: tl.constexpr,
    ARRAY: tl.constexpr,  # columns of the orthogonal array, as words; none: every pattern
    ARRAY_COUNT: tl.constexpr,
):
    module, i, j, inside, _live, s1, d = pairs_of(d_parts, S, sources, targets, PADDED, TARGET_BLOCKS, BI, BJ, K)
    c = tl.arange(0, K)
    source = module.to(tl.int64) * sources + i
    d = tl.abs(d)
    sum1 = tl.load(total + source, mask=inside, other=1.0)
    rank = tl.max(tl.where((s1 == 0) & (d == 0), 0, c[None, :] + 1), axis=1)
    mine = inside & (rank >= least) & (rank <= most)
    column = tl.where(c <= 10, 1 << tl.minimum(c, 10) >> 1, 0)
    for n in tl.static_range(ARRAY_COUNT):
        column = tl.where(c == n, number(ARRAY, n), column)
    column = column | (patterns >> 1)
    mean = tl.zeros((BI * BJ,), dtype=s1.dtype)
    square = tl.zeros((BI * BJ,), dtype=s1.dtype)
    for x in tl.range(0, tl.where(tl.sum(mine.to(tl.int32), axis=0) > 0, patterns, 0)):
        on = tl.where(parity(column & x)[None, :] == 1, d, 0.0)
        value = rec(s1, on, sum1, tl.sum(on, axis=1)) - 0.5  # around ½, so that the variance does not cancel
        mean += value
        square += value * value
    mean = mean / patterns
    variance = square / patterns - mean * mean
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
    K = next_power_of_2(padded)
    BI = max(1, SPECTRA_BYTES // (anything.element_size() * TARGETS * K))
    grid = (modules * ceil_div(sources, BI) * ceil_div(targets, TARGETS),)
    for least, most, width in ranges(k):
        count = 0 if most <= EXACT else min(next_power_of_2(k), most)
        chance_pairs[grid](
            d, source.S, source.total, tuple(outs.values()), *origin, sources, targets, *anything.shape[1:],
            least, most, 2**width, NAMES=" ".join(outs), COUNT=len(outs), PADDED=padded, TARGET_BLOCKS=target_blocks,
            BI=BI, BJ=TARGETS, K=K, ARRAY=array_words(count, width - 1), ARRAY_COUNT=count, num_warps=4,
        )  # fmt: skip
