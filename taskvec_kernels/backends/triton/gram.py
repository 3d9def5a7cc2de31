"""The fused cross-Gram kernel: d of both directions and the overlaps from one pass over X = [U | V].

A tile's two Gram blocks, G of U and H of V, are computed one after the other in one loop over the phases, so that a
full tile of accumulators fits the registers; both are parked in a scratch of this program that stays in the L2 cache
and are read back in column chunks, where P = G ∘ H is reduced along either side.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .schedule import rectangle, triangle

KEPT = tl.constexpr(16)  # columns at a time, of the blocks that are kept


@triton.jit(do_not_specialize=["rows_x", "rows_y", "row_tiles", "column_tiles", "module_tiles", "tiles", "programs"])
def gram(
    x,  # [modules · rows_x, width]: a descriptor with blocks [BM, BK], or its address without TMA
    y,  # [modules · rows_y, width], blocks [BN, BK]
    sx,  # [modules, rows_x]
    sy,  # [modules, rows_y]
    scratch,  # [programs, 2, BM, BN]
    forward,  # d of x→y, [modules, rows_y / RY, rows_x]
    backward,  # d of y→x, [modules, rows_x / RX, rows_y]; the same memory as forward when SYMMETRIC
    overlap_u,  # ‖U_iᵀU_j‖² of blocks, [modules, rows_x / RX, rows_y / RY]
    overlap_v,
    gram_u,  # the blocks themselves, [modules, rows_x, rows_y]
    gram_v,
    rows_x,
    rows_y,
    depth_u,  # columns of X that hold U, a multiple of BK
    depth_v,
    scale_u,  # what undoes the scale of X in G
    scale_v,
    width,
    row_tiles,
    column_tiles,
    module_tiles,
    tiles,
    programs,
    SYMMETRIC: tl.constexpr,
    TERMS: tl.constexpr,  # 1: X holds hi; 3: hi and lo, lo·hi + hi·lo + hi·hi
    RUN: tl.constexpr,  # columns summed by the tensor cores before fp32 takes over; 0: all
    OVERLAPS: tl.constexpr,
    GRAMS: tl.constexpr,  # whether the blocks are kept
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    BC: tl.constexpr,
    RX: tl.constexpr,
    RY: tl.constexpr,
    DTYPE: tl.constexpr,  # of sums
    TMA: tl.constexpr,
):
    program = tl.program_id(0)
    NI: tl.constexpr = BM // RX
    NC: tl.constexpr = BC // RY
    parked = scratch + program.to(tl.int64) * (2 * BM * BN)
    om = tl.arange(0, BM)
    on = tl.arange(0, BN)
    blocks_x = rows_x // RX
    blocks_y = rows_y // RY
    lo = depth_u + depth_v
    for step in tl.range(program, tiles, programs):
        t = step + tl.full((), 0, tl.int32)
        module = t // module_tiles
        if SYMMETRIC:
            i, j = triangle(t - module * module_tiles, row_tiles, BN // BM)
        else:
            i, j = rectangle(t - module * module_tiles, row_tiles, column_tiles)
        xrow = module * rows_x + i * BM
        yrow = module * rows_y + j * BN
        for phase in tl.range(0, 2, num_stages=1):
            start = phase * depth_u
            depth = depth_u + phase * (depth_v - depth_u)
            total = products(x, y, xrow, yrow, start, depth, lo, width, TERMS, RUN, BM, BN, BK, DTYPE, TMA)
            tl.store(parked + phase * (BM * BN) + om[:, None] * BN + on[None, :], total)
        tl.debug_barrier()

        if GRAMS:  # a loop of its own, by few columns: beside the sums they spill
            for c in tl.range(0, BN, KEPT, num_stages=1):
                oc = c + tl.arange(0, KEPT)
                rj = j * BN + oc
                at = (module.to(tl.int64) * rows_x + (i * BM + om)[:, None]) * rows_y + rj[None, :]
                inside = ((i * BM + om)[:, None] < rows_x) & (rj[None, :] < rows_y)
                tl.store(gram_u + at, tl.load(parked + om[:, None] * BN + oc[None, :]) * scale_u, mask=inside)
                tl.store(gram_v + at, tl.load(parked + BM * BN + om[:, None] * BN + oc[None, :]) * scale_v, mask=inside)
        ri = i * BM + om  # [BM] directions of x in this module
        gi = i * NI + tl.arange(0, NI)  # and their blocks of RX
        si = tl.load(sx + module.to(tl.int64) * rows_x + ri, mask=ri < rows_x, other=0.0)
        out_f = forward + module.to(tl.int64) * blocks_y * rows_x
        out_b = backward + module.to(tl.int64) * blocks_x * rows_y
        for c in tl.range(0, BN, BC, num_stages=1):
            oc = c + tl.arange(0, BC)
            G = tl.load(parked + om[:, None] * BN + oc[None, :]) * scale_u
            H = tl.load(parked + BM * BN + om[:, None] * BN + oc[None, :]) * scale_v
            rj = j * BN + oc
            gj = j * (BN // RY) + c // RY + tl.arange(0, NC)
            sj = tl.load(sy + module.to(tl.int64) * rows_y + rj, mask=rj < rows_y, other=0.0)
            P = G * H
            d = tl.sum(tl.reshape(P * sj[None, :], (BM, NC, RY)), axis=2)  # [BM, NC]
            keep_f = (ri[:, None] < rows_x) & (gj[None, :] < blocks_y)
            keep_b = (gi[:, None] < blocks_x) & (rj[None, :] < rows_y)
            if SYMMETRIC:  # each ordered pair once: the diagonal belongs to forward
                keep_f = keep_f & (gj[None, :] <= ri[:, None] // RX)
                keep_b = keep_b & (rj[None, :] // RY < gi[:, None])
            tl.store(out_f + gj[None, :].to(tl.int64) * rows_x + ri[:, None], d, mask=keep_f)
            # after d is stored: both at once spill
            e = tl.sum(tl.reshape(P * si[:, None], (NI, RX, BC)), axis=1)  # [NI, BC]
            tl.store(out_b + gi[:, None].to(tl.int64) * rows_y + rj[None, :], e, mask=keep_b)
            if OVERLAPS:
                square_u = tl.sum(tl.reshape(tl.sum(tl.reshape(G * G, (NI, RX, BC)), axis=1), (NI, NC, RY)), axis=2)
                square_v = tl.sum(tl.reshape(tl.sum(tl.reshape(H * H, (NI, RX, BC)), axis=1), (NI, NC, RY)), axis=2)
                keep = (gi[:, None] < blocks_x) & (gj[None, :] < blocks_y)
                first = module.to(tl.int64) * blocks_x
                here = (first + gi[:, None]) * blocks_y + gj[None, :]
                if SYMMETRIC:
                    keep = keep & (gj[None, :] <= gi[:, None])
                    mirror = (first + gj[None, :]) * blocks_y + gi[:, None]
                    above = keep & (gj[None, :] < gi[:, None])
                    tl.store(overlap_u + mirror, square_u, mask=above)
                    tl.store(overlap_v + mirror, square_v, mask=above)
                tl.store(overlap_u + here, square_u, mask=keep)
                tl.store(overlap_v + here, square_v, mask=keep)
        tl.debug_barrier()


@triton.jit
def products(
    x,
    y,
    xrow,
    yrow,
    start,
    depth,
    lo,  # column at which the low halves begin
    width,
    TERMS: tl.constexpr,
    RUN: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    DTYPE: tl.constexpr,
    TMA: tl.constexpr,
):
    """Rows of x times rows of y over columns [start, start + depth): in each run the small terms first.

    One loop over runs, terms and columns, so that loads are under way while a run's sum moves to the total.
    """
    total = tl.zeros((BM, BN), dtype=DTYPE)
    sums = tl.zeros((BM, BN), dtype=DTYPE)
    for q in tl.range(0, TERMS * depth, BK):
        length = depth  # of this run
        place = q  # in this run
        k = start
        if RUN > 0:
            run = q // (TERMS * RUN)
            length = tl.minimum(depth - run * RUN, RUN)
            place -= run * (TERMS * RUN)
            k += run * RUN
        if TERMS == 1:
            a = strip(x, xrow, k + place, width, BM, BK, TMA)
            b = strip(y, yrow, k + place, width, BN, BK, TMA)
        else:
            term = (place >= length).to(tl.int32) + (place >= 2 * length).to(tl.int32)
            k += place - term * length
            a = strip(x, xrow, k + tl.where(term == 0, lo, 0), width, BM, BK, TMA)
            b = strip(y, yrow, k + tl.where(term == 1, lo, 0), width, BN, BK, TMA)
        sums = tl.dot(a, b.T, sums, out_dtype=DTYPE)
        if RUN > 0:  # noqa: SIM102 - the first is a constant, the second is not
            if place + BK >= TERMS * length:
                total += sums
                sums = tl.zeros((BM, BN), dtype=DTYPE)
    return total if RUN > 0 else sums


@triton.jit
def strip(x, row, k, width, ROWS: tl.constexpr, BK: tl.constexpr, TMA: tl.constexpr):
    """[ROWS, BK] of X; rows beyond the last are whatever lies there, and their results are not stored."""
    if TMA:
        block = x.load([row, k])
    else:
        rows = row + tl.arange(0, ROWS)
        block = tl.load(x + rows[:, None].to(tl.int64) * width + (k + tl.arange(0, BK))[None, :])
    return block
