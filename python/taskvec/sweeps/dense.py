"""Dense updates as targets: the whole of them, not the leading directions alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, pairwise

from .options import Options

OF_DIRECTIONS = ("overlap_u", "overlap_v")  # of the target's own directions, of which a cut one has the leading


def exact_targets(
    values: dict[str, Tensor],
    x: LowRankSVD[Tensor],
    whole: Callable[[int, int], Tensor | None],
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
        whole: the dense τ (m, n) of a module and a target; None where it is not at hand, and stays cut.
        norm: ‖τ‖ (L, M) where directions were left out, NaN elsewhere.
        options: of the comparison.
        seed: of random starts, of sources (L, N) and targets (L, M).

    Cost:
        2 k (2 m n + k n) flop a pair.
    """
    for row, column in (~norm.isnan()).nonzero().tolist():
        dense = whole(row, column)
        if dense is None:
            continue
        U, S, Vh = x.U[row], x.S[row], x.Vh[row]  # [N, m, k], [N, k], [N, k, n]
        tau = dense.to(U)
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
                values[name][:, row, :, column] = share.to(values[name])
            elif name not in OF_DIRECTIONS and name in values:
                values[name][:, row, :, column] = value[:, :, 0, 0].to(values[name])
