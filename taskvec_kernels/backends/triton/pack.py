"""Directions of a panel of adapters as rows of X = [U | V]: scaled, rounded to fp16 halves, padded with zeros."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from .launch import Strided, ceil_div, leads, offset


@triton.jit(do_not_specialize=["rows", "adapters", "k"])
def pack_rows(
    source,
    lead,  # to each module's first adapter
    out,  # [rows, width]
    rows,
    adapters,
    k,
    length,  # m or n
    adapter_stride,
    direction_stride,
    element_stride,
    width,
    column,  # of X at which this factor begins
    lo,  # columns from a high half to its low half
    scale,
    PADDED: tl.constexpr,  # rows of an adapter
    TERMS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
    LEAD: tl.constexpr,
):
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    c = tl.program_id(1) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    adapter = row // PADDED
    direction = row % PADDED
    module = adapter // adapters
    first = offset(lead, module, row < rows, LEAD)
    first += (adapter % adapters).to(tl.int64) * adapter_stride + direction.to(tl.int64) * direction_stride
    live = (row < rows) & (direction < k)
    value = tl.load(
        source + first[:, None] + c[None, :].to(tl.int64) * element_stride,
        mask=live[:, None] & (c[None, :] < length),
        other=0.0,
    )
    place = out + row[:, None].to(tl.int64) * width + (column + c[None, :])
    inside = row[:, None] < rows
    if out.dtype.element_ty == tl.float16:
        value = value.to(tl.float32) * scale
        hi = value.to(tl.float16)
        tl.store(place, hi, mask=inside)
        if TERMS == 3:
            tl.store(place + lo, (value - hi.to(tl.float32)).to(tl.float16), mask=inside)
    else:
        tl.store(place, value.to(out.dtype.element_ty), mask=inside)


def pack(
    out: Tensor,
    U: Strided,  # [modules, adapters, k, m]
    V: Strided,  # [modules, adapters, k, n]
    depths: tuple[int, int],
    scales: tuple[float, float],
    padded: int,
    terms: int,
) -> None:
    """Fill ``out`` [modules · adapters · padded, terms > 1 ? 2 width : width]."""
    modules, adapters, k = U.shape[:3]
    rows = modules * adapters * padded
    block_rows, block_columns = 16, 64
    for factor, depth, column, scale in zip((U, V), depths, (0, depths[0]), scales, strict=True):
        grid = (ceil_div(rows, block_rows), depth // block_columns)
        (step,), lead = leads([factor])
        pack_rows[grid](
            factor.data, step, out, rows, adapters, k, factor.shape[3], *factor.strides, out.stride(0),
            column, sum(depths), scale,
            PADDED=padded, TERMS=terms, BLOCK_ROWS=block_rows, BLOCK_COLUMNS=block_columns,
            LEAD=lead,
        )  # fmt: skip
