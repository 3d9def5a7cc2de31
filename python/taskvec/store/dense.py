"""The leading directions of a dense update: what it is where it is a source."""

from __future__ import annotations

import torch
from torch import Tensor

from ..adapters import Dense
from ..formats.dense import difference, floor

SPARE, ITERATIONS, SEED = 16, 4, 0  # of the randomised SVD: columns beyond the rank, power iterations


def leading(update: Dense, rank: int, *, rounding: bool = True) -> tuple[Tensor, Tensor, float | None]:
    """Factors B (m, k) and A (k, n) of the leading directions of a dense τ; ‖τ‖ where others are left out, else None.

    Args:
        update: of one module.
        rank: k; of fewer than min(m, n) directions by a randomised SVD with power iterations.
        rounding: leave out directions as small as those that rounding alone gives the difference.

    Cost:
        With k < min(m, n) ten products of τ with k + 16 columns; else one whole SVD.
    """
    tau = difference(update.base, update.tuned)
    m, n = tau.shape
    least = floor(update) if rounding else 0.0
    if rank >= min(m, n) and not least:
        eye = torch.eye(min(m, n), dtype=tau.dtype, device=tau.device)
        return (tau, eye, None) if n <= m else (eye, tau, None)
    u, s, vh = randomised(tau, rank) if rank < min(m, n) else torch.linalg.svd(tau, full_matrices=False)
    kept = torch.where(s > least, s, 0.0)
    is_whole = rank >= min(m, n) and bool((kept == s).all())
    return u * kept, vh, None if is_whole else float(torch.linalg.vector_norm(tau, dtype=torch.float64))


def randomised(tau: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """U (m, k), S (k,), Vh (k, n): Halko, Martinsson, Tropp (2011), algorithms 4.4 and 5.1; always the same start."""
    generator = torch.Generator().manual_seed(SEED)
    columns = min(rank + SPARE, *tau.shape)
    start = torch.randn(tau.shape[1], columns, generator=generator, dtype=tau.dtype).to(tau.device)
    q = torch.linalg.qr(tau @ start).Q  # [m, k + 16]
    for _ in range(ITERATIONS):
        q = torch.linalg.qr(tau @ torch.linalg.qr(tau.mT @ q).Q).Q
    u, s, vh = torch.linalg.svd(q.mT @ tau, full_matrices=False)
    return (q @ u)[:, :rank], s[:rank], vh[:rank]
