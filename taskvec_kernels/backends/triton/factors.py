"""``project``: diag(Uᴴ · scale·b·a · V) of pairs of raw factors, gathered through their strides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...dispatch.arguments import result_dtype
from .launch import Strided, ceil_div, check_dtype, leads, machine, next_power_of_2, offset

RUN = 512  # positions that are summed in a row


@triton.jit(do_not_specialize=["k"])
def project_pairs(
    U, u_lead, u_m, u_k, V, v_lead, v_k, v_n, b, b_lead, b_m, b_r, a, a_lead, a_r, a_n,
    scale, out, m, n, k, r,
    CLIP: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK: tl.constexpr, RUN: tl.constexpr,
    LEAD: tl.constexpr,
):  # fmt: skip
    """One block of a pair's directions: U [m, k], V [k, n], b [m, r], a [r, n]."""
    blocks = tl.cdiv(k, BLOCK_K)
    pair = tl.program_id(0) // blocks
    ck = (tl.program_id(0) % blocks) * BLOCK_K + tl.arange(0, BLOCK_K)
    pU = U + offset(u_lead, pair, True, LEAD)
    pV = V + offset(v_lead, pair, True, LEAD)
    pb = b + offset(b_lead, pair, True, LEAD)
    pa = a + offset(a_lead, pair, True, LEAD)
    d = tl.zeros((BLOCK_K,), dtype=out.dtype.element_ty)
    for r0 in tl.range(0, r, BLOCK_R, num_stages=1):
        cr = r0 + tl.arange(0, BLOCK_R)
        left = cross(pU, u_k, u_m, pb, b_r, b_m, ck, k, cr, r, m, BLOCK_K, BLOCK_R, BLOCK, RUN, out.dtype.element_ty)
        right = cross(pV, v_k, v_n, pa, a_r, a_n, ck, k, cr, r, n, BLOCK_K, BLOCK_R, BLOCK, RUN, out.dtype.element_ty)
        d += tl.sum(left * right, axis=1)
    d = d * tl.load(scale + pair).to(d.dtype)
    if CLIP:
        d = tl.where(d < 0, 0.0, d)
    tl.store(out + pair.to(tl.int64) * k + ck, d, mask=ck < k)


@triton.jit
def cross(
    x, x_row, x_step, y, y_row, y_step, cx, rows_x, cy, rows_y, length,
    BX: tl.constexpr, BY: tl.constexpr, BLOCK: tl.constexpr, RUN: tl.constexpr, DTYPE: tl.constexpr,
):  # fmt: skip
    """Σ_l x[cx, l] y[cy, l], [BX, BY]: runs of RUN positions, then the runs."""
    total = tl.zeros((BX, BY), dtype=DTYPE)
    for start in tl.range(0, length, RUN, num_stages=1):
        sums = tl.zeros((BX, BY), dtype=DTYPE)
        for l0 in tl.range(start, tl.minimum(start + RUN, length), BLOCK):
            at = l0 + tl.arange(0, BLOCK)
            px = x + cx[:, None].to(tl.int64) * x_row + at[None, :].to(tl.int64) * x_step
            py = y + cy[:, None].to(tl.int64) * y_row + at[None, :].to(tl.int64) * y_step
            block_x = tl.load(px, mask=(cx[:, None] < rows_x) & (at[None, :] < length), other=0.0).to(DTYPE)
            block_y = tl.load(py, mask=(cy[:, None] < rows_y) & (at[None, :] < length), other=0.0).to(DTYPE)
            sums = tl.dot(block_x, block_y.T, sums, input_precision="ieee", out_dtype=DTYPE)
        total += sums
    return total


def project(
    U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: Tensor, clip: bool, out: Sequence[Tensor] | None = None
) -> Tensor:
    k, (m, r), n = U.shape[-1], b.shape[-2:], a.shape[-1]
    dtype = result_dtype(U, Vh, b, a)
    check_dtype("project", dtype, machine(U.device))
    d = torch.empty(*U.shape[:-2], k, dtype=dtype, device=U.device) if out is None else out[0]
    parts = [Strided.of(t, 2) for t in (U, Vh, b, a)]
    scales = scale.reshape(-1).contiguous()
    block_k, block_r = (min(32, max(16, next_power_of_2(size))) for size in (k, r))
    few = block_k * block_r < 1024 and b.element_size() == 4  # one warp holds them, if its registers have no limit
    if d.numel():
        steps, lead = leads(parts)
        arguments = [value for t, step in zip(parts, steps, strict=True) for value in (t.data, step, *t.strides)]
        project_pairs[(scales.numel() * ceil_div(k, block_k),)](
            *arguments, scales, d, m, n, k, r,
            CLIP=clip, BLOCK_K=block_k, BLOCK_R=block_r, BLOCK=64 if few else 32, RUN=RUN,
            LEAD=lead, num_warps=1 if few else 4,
            maxnreg=None if few else {2: 255, 4: 168}.get(b.element_size()),
        )  # fmt: skip
    return d
