"""``compare_spectra``: the metrics that need two spectra alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...dispatch.arguments import result_dtype
from .launch import ceil_div, next_power_of_2
from .metrics import spectral, word


@triton.jit(do_not_specialize=["count", "k"])
def compare_rows(
    first, second, outs, count, k,
    P: tl.constexpr, NAMES: tl.constexpr, COUNT: tl.constexpr, ROWS: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, K)
    inside = row < count
    at = row[:, None] * k + c[None, :]
    live = inside[:, None] & (c[None, :] < k)
    s1 = tl.load(first + at, mask=live, other=0.0)
    s2 = tl.load(second + at, mask=live, other=0.0)
    sum1 = tl.sum(s1, axis=1)
    sum2 = tl.sum(s2, axis=1)
    rank = tl.sum(tl.where(s1 > 0, 1.0, 0.0 * s1), axis=1)  # NaN stays
    for n in tl.static_range(COUNT):
        tl.store(outs[n] + row, spectral(word(NAMES, n), s1, s2, sum1, sum2, rank, P), mask=inside)


def compare_spectra(
    s1: Tensor, s2: Tensor, metrics: Sequence[str], p: float | None, out: Sequence[Tensor] | None = None
) -> list[Tensor]:
    batch, k, dtype = s1.shape[:-1], s1.shape[-1], result_dtype(s1, s2)
    s1, s2 = s1.to(dtype).contiguous(), s2.to(dtype).contiguous()
    outs = [torch.empty(batch, dtype=dtype, device=s1.device) for _ in metrics] if out is None else list(out)
    count = batch.numel()
    K = next_power_of_2(k)
    rows = max(1, 4096 // (s1.element_size() * K))
    infinite = p is not None and p == float("inf")
    if count and outs:
        compare_rows[(ceil_div(count, rows),)](
            s1, s2, tuple(outs), count, k, P=1.0 if p is None or infinite else float(p),
            NAMES=" ".join("linf" if name == "lp" and infinite else name for name in metrics), COUNT=len(outs),
            ROWS=rows, K=K,
        )  # fmt: skip
    return outs
