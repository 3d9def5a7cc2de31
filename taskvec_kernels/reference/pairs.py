"""Every τ of x projected on every other's directions, one direction after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..metrics import DEFAULT_PAIRWISE
from ..seeding import pair_seed, seeds
from ..solver import Solver
from ..types import Adapters, LowRankSVD, Pairwise
from .lowrank import frobenius
from .metrics import METRICS, Pair, count
from .sparse import solve

EXACT = Solver()  # λ = 0


def pairwise(
    x: LowRankSVD,
    y: LowRankSVD | None = None,
    *,
    metrics: Sequence[str] = DEFAULT_PAIRWISE,
    spectra: bool = False,
    p: float | None = None,
    norm: Tensor | tuple[Tensor, Tensor] | None = None,
    lam: float | Sequence[float] = 0.0,
    solver: Solver | None = None,
    seed: Tensor | tuple[Tensor, Tensor] | None = None,
) -> Pairwise:
    """Both directions of every pair; a leading axis for several λ's, but of "d"."""
    solver = solver or Solver(lam)
    sides = [x] if y is None else [x, y]
    norms = norm if isinstance(norm, tuple) else [norm] * len(sides)
    draws = seed if isinstance(seed, tuple) else [seed] * len(sides)
    if solver.random and seed is None:
        draws = [seeds(solver.seed, tuple(side.S.shape[:-1]), side.S.device) for side in sides]
    known = [Adapters(*side, *more) for side, *more in zip(sides, norms, draws, strict=True)]
    ways = [one_way(known[0], known[-1], metrics, spectra, p, solver)]
    if y is not None:
        ways.append(one_way(known[1], known[0], metrics, spectra, p, solver))
    if not solver.several:
        ways = [{name: t if name == "d" else t[0] for name, t in way.items()} for way in ways]
    return Pairwise(ways[0], None if y is None else ways[1])


def one_way(
    x: Adapters, y: Adapters, metrics: Sequence[str], spectra: bool, p: float | None = None, solver: Solver = EXACT
) -> dict[str, Tensor]:
    """Metrics of x_i→y_j, (L, ..., N, M), with ``spectra`` also S₂, (L, ..., N, M, k_x), and d, (..., N, M, k_x)."""
    xU, xS, xVh = (t.double() for t in x[:3])
    yU, yS, yVh = (t.double() for t in y[:3])
    tau = yU * yS[..., None, :] @ yVh  # [..., M, m, n]
    left = torch.einsum("...imk,...jmn->...ijkn", xU, tau)  # Uᵀτ, [..., N, M, k_x, n]
    block = torch.einsum("...ijkn,...iln->...ijkl", left, xVh)  # UᵀτV
    d = block.diagonal(dim1=-2, dim2=-1)  # [..., N, M, k_x]
    tau_x = xU * xS[..., None, :] @ xVh
    tau_norm = frobenius(tau) if y.norm is None else y.norm.double()  # [..., M]
    source_norm = frobenius(tau_x) if x.norm is None else x.norm.double()
    seed = None if x.seed is None or y.seed is None else pair_seed(x.seed[..., :, None], y.seed[..., None, :])
    pairs = d.shape[:-1]
    each = tau_norm[..., None, :].expand(pairs)
    lams = [torch.tensor(lam, dtype=torch.float64).expand(pairs) for lam in solver.lams]
    s2 = torch.stack([solve(d, each, lam, solver, seed)[0] for lam in lams])
    closed = torch.tensor([lam == 0 and solver.method == "exact" for lam in solver.lams])
    pair = Pair(
        s1=xS[..., :, None, :].expand(s2.shape),
        d=d.expand(s2.shape),
        s2=s2,
        tau_norm=tau_norm[..., None, :],
        source_norm=source_norm[..., :, None],
        inner=torch.einsum("...imn,...jmn->...ij", tau_x, tau),
        rank_target=count(yS)[..., None, :],
        cross_u=torch.einsum("...imk,...jml->...ijkl", xU, yU),
        cross_v=torch.einsum("...ikn,...jln->...ijkl", xVh, yVh),
        closed=closed.reshape(-1, *[1] * len(pairs)),
        held=frobenius(block),
        held_out=frobenius(left),
        held_in=frobenius(torch.einsum("...jmn,...ikn->...ijmk", tau, xVh)),
        size=xU.shape[-2] * xVh.shape[-1],
        p=p or 1.0,
    )
    out = {name: METRICS[name](pair).expand(s2.shape[:-1]) for name in metrics}
    return out | {"spectra": s2, "d": d} if spectra else out
