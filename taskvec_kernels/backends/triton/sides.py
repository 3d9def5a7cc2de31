"""What the metrics use of each adapter, from its spectrum: one launch, where torch's own operations are ten."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import ceil_div, next_power_of_2

BYTES = 8192  # of spectra in fp64 that a program holds


@dataclass(frozen=True)
class Side:
    """All [modules, adapters] but S."""

    S: Tensor  # [modules, adapters, padded], zeros beyond k
    total: Tensor  # ΣS
    norm: Tensor  # ‖τ‖_F, ‖S‖₂ where it is not given
    rank: Tensor  # number of non-zero S, NaN where one is NaN
    seed: Tensor  # int64, of random starts; anything where there are none

    @classmethod
    def of(cls, S: Tensor, norm: Tensor | None, seed: Tensor | None, padded: int, dtype: torch.dtype) -> Side:
        """S (..., N, k)."""
        *batch, N, k = S.shape
        shape = torch.Size(batch).numel(), N
        total, length, rank = (torch.empty(shape, dtype=dtype, device=S.device) for _ in range(3))
        out = torch.empty(*shape, padded, dtype=dtype, device=S.device)
        K = next_power_of_2(padded)
        rows = max(1, BYTES // (8 * K))
        if rank.numel():
            spectra_rows[(ceil_div(rank.numel(), rows),)](
                S.contiguous(), out, total, length, rank, rank.numel(), k, PADDED=padded, ROWS=rows, K=K
            )
        if norm is not None:
            length = norm.reshape(shape).to(dtype)
        return cls(out, total, length, rank, rank if seed is None else seed.reshape(shape))

    def part(self, modules: slice, adapters: slice) -> Side:
        parts = (t[modules, adapters].contiguous() for t in (self.S, self.total, self.norm, self.rank, self.seed))
        return Side(*parts)


@triton.jit(do_not_specialize=["count", "k"])
def spectra_rows(spectra, out, total, norm, rank, count, k, PADDED: tl.constexpr, ROWS: tl.constexpr, K: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, K)
    inside = row < count
    live = inside[:, None] & (c < k)[None, :]
    s = tl.load(spectra + row[:, None] * k + c[None, :], mask=live, other=0.0).to(out.dtype.element_ty)
    tl.store(out + row[:, None] * PADDED + c[None, :], s, mask=inside[:, None] & (c < PADDED)[None, :])
    wide = s.to(tl.float64)
    sums = tl.sum(wide, axis=1)
    directions = tl.sum((s > 0).to(tl.float64), axis=1)
    tl.store(total + row, sums.to(s.dtype), mask=inside)
    tl.store(norm + row, tl.sqrt(tl.sum(wide * wide, axis=1)).to(s.dtype), mask=inside)
    tl.store(rank + row, tl.where(sums != sums, sums, directions).to(s.dtype), mask=inside)
