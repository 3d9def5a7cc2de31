"""Which tile a step of a persistent kernel works on: closed forms, no table.

A module's Gram matrix is cut into tiles of BM × RATIO·BM. Row tiles come in groups of GROUP, and a group is walked
column by column, so that the tiles in flight at one time share their strips of X in the L2 cache. The symmetric
schedule keeps the tiles that reach the diagonal or lie below it.
"""

from __future__ import annotations

import triton
import triton.language as tl

GROUP = tl.constexpr(8)


@triton.jit
def rectangle(t, rows, columns):
    """(row tile, column tile) of step t of a rows × columns grid of tiles."""
    group = t // (columns * GROUP)
    height = tl.minimum(rows - group * GROUP, GROUP)
    step = t - group * GROUP * columns
    return group * GROUP + step % height, step // height


@triton.jit
def below(i, RATIO: tl.constexpr):
    """Tiles in the first i rows of a diagonal block: Σ_{q<i} ⌈(q + 1)/RATIO⌉, RATIO 1 or 2."""
    if RATIO == 1:
        count = i * (i + 1) // 2
    else:
        half = i // 2
        count = half * (half + 1) + (i % 2) * (half + 1)
    return count


@triton.jit
def before(group, RATIO: tl.constexpr):
    """Tiles in the first groups of the triangle: full ones left of the diagonal block, and the block's own."""
    own = below(GROUP, RATIO)
    # tensors first: 3.9's interpreter takes a constant times a tensor for a constant
    return (group * (group - 1) // 2) * (GROUP * (GROUP // RATIO)) + group * own


@triton.jit
def triangle(t, rows, RATIO: tl.constexpr):
    """(row tile, column tile) of step t of the lower triangle of ``rows`` row tiles."""
    # group² GROUP²/(2 RATIO) tiles lie before a group: the root is right to one or two, the steps below make it exact
    group = (tl.sqrt(t.to(tl.float32) * (2 * RATIO)) / GROUP).to(tl.int32)
    group = tl.where(before(group, RATIO) > t, group - 1, group)
    group = tl.where(before(group, RATIO) > t, group - 1, group)
    group = tl.where(before(group + 1, RATIO) <= t, group + 1, group)
    group = tl.where(before(group + 1, RATIO) <= t, group + 1, group)
    step = t - before(group, RATIO)
    height = tl.minimum(rows - group * GROUP, GROUP)
    left = group * (GROUP // RATIO)
    full = height * left
    i = step % height
    j = step // height
    rest = tl.maximum(step - full, 0)
    own = step * 0
    for row in tl.static_range(1, 8):
        own = tl.where(rest >= below(row, RATIO), row, own)
    i = tl.where(step < full, i, own)
    j = tl.where(step < full, j, left + rest - below(own, RATIO))
    return group * GROUP + i, j


def triangle_tiles(rows: int, ratio: int) -> int:
    """Number of tiles of the symmetric schedule."""
    return sum(-(-(i + 1) // ratio) for i in range(rows))
