"""Dense updates where they are compared: their leading directions as a source, the whole of them as a target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import LowRankSVD, pairwise

from ..adapters import Dense, Module
from ..formats.dense import difference, floor
from .options import Options

SPARE, ITERATIONS, SEED = 16, 4, 0  # of the randomised SVD: columns beyond the rank, power iterations
OF_DIRECTIONS = ("overlap_u", "overlap_v")  # of the target's own directions, of which a cut one has the leading


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


def exact_targets(
    values: dict[str, NDArray[np.float32]],
    x: LowRankSVD[Tensor],
    targets: Sequence[Sequence[Module]],
    norm: Tensor,
    options: Options,
    seed: tuple[Tensor, Tensor] | None,
) -> None:
    """Puts the whole τ of a target in place of its leading directions, where some were left out.

    On a source's directions U, V, τ is M = Uᵀ τ V: the pair is compared again with U M Vᵀ, which has the same M, and
    with the norm of τ. Overlaps stay: they are of the target's own directions. Every τ is read once.

    Args:
        values: by metric (λ, L, N, M, …), changed in place.
        x: the sources, U (L, N, m, k).
        targets: L × M modules.
        norm: ‖τ‖ (L, M) where directions were left out, NaN elsewhere.
        options: of the comparison.
        seed: of random starts, of sources (L, N) and targets (L, M).

    Cost:
        2 k (2 m n + k n) flop a pair.
    """
    for row, column in (~norm.isnan()).nonzero().tolist():
        update = targets[row][column].update()
        if not isinstance(update, Dense):
            continue
        U, S, Vh = x.U[row], x.S[row], x.Vh[row]  # [N, m, k], [N, k], [N, k, n]
        tau = difference(update.base, update.tuned).to(U)
        rows, columns = U.mT @ tau, tau @ Vh.mT  # [N, k, n], [N, m, k]
        u, s, vh = torch.linalg.svd(rows @ Vh.mT)  # of M
        length = norm[row, column].expand(len(U), 1)
        made = pairwise(
            LowRankSVD(U[:, None], S[:, None], Vh[:, None]),
            LowRankSVD((U @ u)[:, None], s[:, None], (vh @ Vh)[:, None]),
            metrics=options.metrics,
            spectra=options.spectra,
            precision=options.precision,
            p=options.p,
            solver=options.solver,
            seed=None if seed is None else (seed[0][row][:, None], seed[1][row, column].expand(len(U), 1)),
            norm=(torch.linalg.vector_norm(S, dim=-1, keepdim=True), torch.maximum(length, s.norm(dim=-1)[:, None])),
            backend=options.backend,
        ).forward
        square = length[:, 0].square()
        sides = {"captured_out": rows, "captured_in": columns}
        for name, value in made.items():
            if name in sides:
                share = sides[name].double().square().sum((-2, -1)) / square
                values[name][:, row, :, column] = share.cpu().numpy()
            elif name not in OF_DIRECTIONS and name in values:
                values[name][:, row, :, column] = value[:, :, 0, 0].cpu().numpy()
