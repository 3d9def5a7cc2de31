"""``project_dense``: diag(Uᴴ τ V) of a dense τ that is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...dispatch.arguments import result_dtype
from .launch import Strided, ceil_div, check_dtype, leads, machine, next_power_of_2, offset

COLUMNS = 1024  # of τ, that a program sums


@dataclass(frozen=True)
class Shape:
    """Of a program: rows and columns of τ at a time, and how many of these blocks are under way."""

    BM: int
    BN: int
    stages: int
    registers: int | None = None  # a thread; None: what the compiler takes

    @classmethod
    def of(cls, tau: Tensor, K: int, dtype: torch.dtype) -> Shape:
        """The fastest on an H100 that compiles without spills."""
        if dtype == torch.float64:
            return cls(64, 32, 3, 128)
        return cls(128, 64, 3) if tau.element_size() == 2 and K == 16 else cls(64, 64, 4)


@triton.jit(do_not_specialize=["k", "row_blocks", "column_blocks"])
def project_part(
    U, u_lead, u_m, u_k, V, v_lead, v_k, v_n, tau, t_lead, t_m, t_n, out, m, n, k, row_blocks, column_blocks,
    COLUMNS: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr,
    LEAD: tl.constexpr,
):  # fmt: skip
    """A block of rows and columns of one τ: out [matrices, row blocks · column blocks, k].

    The programs of one block of τ follow one another, so that the L2 cache serves all but the first.
    """
    k_blocks = tl.cdiv(k, K)
    program = tl.program_id(0) // k_blocks
    parts = row_blocks * column_blocks
    matrix = program // parts
    part = program % parts
    i = (part // column_blocks) * BM + tl.arange(0, BM)
    start = (part % column_blocks) * COLUMNS
    c = (tl.program_id(0) % k_blocks) * K + tl.arange(0, K)
    pU = U + offset(u_lead, matrix, True, LEAD)
    pV = V + offset(v_lead, matrix, True, LEAD)
    pt = tau + offset(t_lead, matrix, True, LEAD)
    DTYPE: tl.constexpr = out.dtype.element_ty
    y = tl.zeros((BM, K), dtype=DTYPE)  # τ V
    for j0 in tl.range(start, tl.minimum(start + COLUMNS, n), BN):
        j = j0 + tl.arange(0, BN)
        at = pt + i[:, None].to(tl.int64) * t_m + j[None, :].to(tl.int64) * t_n
        rows = tl.load(at, mask=(i[:, None] < m) & (j[None, :] < n), other=0.0).to(DTYPE)
        at = pV + c[:, None].to(tl.int64) * v_k + j[None, :].to(tl.int64) * v_n
        v = tl.load(at, mask=(c[:, None] < k) & (j[None, :] < n), other=0.0).to(DTYPE)
        y = tl.dot(rows, v.T, y, input_precision=PRECISION, out_dtype=DTYPE)
    u = tl.load(
        pU + i[:, None].to(tl.int64) * u_m + c[None, :].to(tl.int64) * u_k,
        mask=(i[:, None] < m) & (c[None, :] < k),
        other=0.0,
    ).to(DTYPE)
    tl.store(out + program.to(tl.int64) * k + c, tl.sum(u * y, axis=0), mask=c < k)


def project_dense(U: Tensor, Vh: Tensor, tau: Tensor, clip: bool, out: Sequence[Tensor] | None = None) -> Tensor:
    (m, n), k = tau.shape[-2:], U.shape[-1]
    dtype = result_dtype(U, Vh, tau)
    check_dtype("project_dense", dtype, machine(U.device))
    batch = tau.shape[:-2]
    K = min(32, max(16, next_power_of_2(k)))
    shape = Shape.of(tau, K, dtype)
    rows, columns = ceil_div(m, shape.BM), ceil_div(n, COLUMNS)
    parts = torch.empty(batch.numel(), rows * columns, k, dtype=dtype, device=U.device)
    if parts.numel():
        factors = [Strided.of(t, 2) for t in (U, Vh, tau)]
        steps, lead = leads(factors)
        arguments = [value for t, step in zip(factors, steps, strict=True) for value in (t.data, step, *t.strides)]
        project_part[(batch.numel() * rows * columns * ceil_div(k, K),)](
            *arguments, parts, m, n, k, rows, columns,
            COLUMNS=COLUMNS, BM=shape.BM, BN=shape.BN, K=K, LEAD=lead,
            PRECISION="ieee" if dtype == torch.float64 else "tf32x3", num_warps=4, num_stages=shape.stages,
            maxnreg=shape.registers,
        )  # fmt: skip
    d = torch.empty(*batch, k, dtype=dtype, device=U.device) if out is None else out[0]
    torch.sum(parts, 1, out=d.view(batch.numel(), k))
    return d.clamp_(min=0) if clip else d  # clamp keeps NaN
