"""The fp64 oracle: every public function the slow, obvious way.

Tests and benchmarks compare with these functions and no others. They form the m × n matrices and follow the formulas
of docs/METHOD.md line by line; nothing here is meant to be fast. Same arguments and shapes as the public functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from .dispatch.arguments import batch_shape
from .seeding import normal, pair_seed
from .solver import AdamSettings, Solver, choose_solver
from .sparse import lambdas, pair_seeds
from .types import LowRankSVD, Pairwise, SparseInfo, Weights
from .zoo_weights import zoo_weights

EPS = 2.2e-16
NOT_GIVEN = torch.empty(0, dtype=torch.float64)


def lowrank_svd(b: Tensor, a: Tensor, scale: float | Tensor = 1.0) -> LowRankSVD:
    """Dense fp64 SVD of τ = scale · b · a, cut to k = min(r, m, n); what is rounding noise becomes an exact zero."""
    m, r, n = *b.shape[-2:], a.shape[-1]
    tau = dense(b, a, scale)  # [..., m, n]
    k = min(r, m, n)
    broken = ~tau.isfinite().all(-1).all(-1)[..., None]  # such a matrix is NaN, the others are not touched
    U, S, Vh = torch.linalg.svd(tau.masked_fill(broken[..., None], 0), full_matrices=False)
    U, S, Vh = U[..., :k], S[..., :k].masked_fill(broken, torch.nan), Vh[..., :k, :]
    live = S > max(m, n) * EPS * S[..., :1]
    # the sum Σ b_l a_l rounds at eps · Σ ‖b_l‖‖a_l‖, which may be above eps · S_max
    terms = (norm_last(b.double().mT) * norm_last(a.double())).sum(-1)
    live &= S > 8 * EPS * (torch.as_tensor(scale, dtype=torch.float64).abs().to(S) * terms)[..., None]
    live = live.double().masked_fill(broken, torch.nan)
    return LowRankSVD(U * live[..., None, :], S * live, Vh * live[..., :, None])


def project(U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: float | Tensor = 1.0, *, clip: bool = True) -> Tensor:
    """diag(Uᴴ · scale·b·a · V), (..., k)."""
    return project_dense(U, Vh, dense(b, a, scale), clip=clip)


def project_dense(U: Tensor, Vh: Tensor, tau: Tensor, *, clip: bool = True) -> Tensor:
    """d = diag(Uᴴ τ V), S₂ = max(0, d): the minimiser of ‖U S Vᴴ − τ‖_F over non-negative diagonal S."""
    d = torch.diagonal(U.double().mT @ tau.double() @ Vh.double().mT, dim1=-2, dim2=-1)
    return clip_negative(d) if clip else d


def pairwise(
    x: LowRankSVD,
    y: LowRankSVD | None = None,
    *,
    metrics: Sequence[str] = ("l1", "l2", "rec", "entropy_projected", "cosine"),
    spectra: bool = False,
    p: float | None = None,
    lam: float | Sequence[float] | Tensor = 0.0,
    method: str = "exact",
    norm: str = "frobenius",
    seed: int | Tensor | tuple[Tensor, Tensor] = 0,
    **adam: Unpack[AdamSettings],
) -> Pairwise:
    """Every τ of x projected on every other's directions, one direction after the other."""
    other = x if y is None else y
    weights, several = zoo_weights(lam, choose_solver("pairwise", method, norm, adam), seed, x, y)
    ways = [one_way(x, other, metrics, spectra, p, weights), one_way(other, x, metrics, spectra, p, weights.swapped())]
    if not several:
        ways = [{name: t if name == "d" else t[0] for name, t in way.items()} for way in ways]
    return Pairwise(ways[0], None if y is None else ways[1])


def one_way(
    x: LowRankSVD,
    y: LowRankSVD,
    metrics: Sequence[str],
    spectra: bool,
    p: float | None = None,
    weights: Weights | None = None,
) -> dict[str, Tensor]:
    """Metrics of x_i→y_j, (..., N, M), with ``spectra`` S₂ and d, (..., N, M, k_x); with ``weights`` (L, ...) but d."""
    if weights is None:
        one = one_way(x, y, metrics, spectra, p, Weights())
        return {name: t if name == "d" else t[0] for name, t in one.items()}
    xU, xS, xVh = (t.double() for t in x)
    yU, yS, yVh = (t.double() for t in y)
    tau = yU * yS[..., None, :] @ yVh  # [..., M, m, n]
    d = torch.einsum("...imk,...jmn,...ikn->...ijk", xU, tau, xVh)  # [..., N, M, k_x]
    tau_x = xU * xS[..., None, :] @ xVh
    tau_norm = frobenius(tau)[..., None, :]
    seed = None
    if weights.x_seed is not None:
        y_seed = weights.x_seed if weights.y_seed is None else weights.y_seed
        seed = pair_seed(weights.x_seed[..., :, None], y_seed[..., None, :])
    lams = [torch.tensor(lam, dtype=torch.float64).expand(d.shape[:-1]) for lam in weights.lam]
    s2 = torch.stack([solve(d, tau_norm.expand(d.shape[:-1]), lam, weights.solver, seed)[0] for lam in lams])
    pair = Pair(
        s1=xS[..., :, None, :].expand(s2.shape),
        d=d.expand(s2.shape),
        s2=s2,
        tau_norm=tau_norm,
        source_norm=frobenius(tau_x)[..., :, None],
        inner=torch.einsum("...imn,...jmn->...ij", tau_x, tau),
        rank_target=(yS > 0).sum(-1)[..., None, :],
        cross_u=torch.einsum("...imk,...jml->...ijkl", xU, yU),
        cross_v=torch.einsum("...ikn,...jln->...ijkl", xVh, yVh),
        size=xU.shape[-2] * xVh.shape[-1],
        p=p or 1.0,
    )
    out = {name: METRICS[name](pair).expand(s2.shape[:-1]) for name in metrics}
    return out | {"spectra": s2, "d": d} if spectra else out


def sparsify(
    d: Tensor,
    tau_norm: Tensor,
    lam: float | Sequence[float] | Tensor,
    *,
    method: str = "exact",
    norm: str = "frobenius",
    return_info: bool = False,
    seed: int | Tensor = 0,
    **adam: Unpack[AdamSettings],
) -> Tensor | tuple[Tensor, SparseInfo]:
    """argmin over S ≥ 0 of ‖U S Vᴴ − τ₂‖_F + λ ΣS, as the solver goes; in fp64."""
    batch = batch_shape("sparsify", d=d.shape[:-1], tau_norm=tau_norm.shape)
    lams, several, batch = lambdas(lam, batch, d.device)
    d, tau_norm = d.double().expand(*batch, -1), tau_norm.double().expand(batch)
    solver = choose_solver("sparsify", method, norm, adam)
    draws = pair_seeds(seed, batch, d.device) if solver.random else None
    parts = [torch.stack(part) for part in zip(*(solve(d, tau_norm, lam, solver, draws) for lam in lams), strict=True)]
    S, *info = parts if several else [part[0] for part in parts]
    return (S, SparseInfo(*info)) if return_info else S


def solve(
    d: Tensor, tau_norm: Tensor, lam: Tensor, solver: Solver, seed: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """S (..., k) for one λ a pair, with objective, steps and convergence (...)."""
    d, tau_norm = d.double(), tau_norm.double()
    if solver.method == "adam":
        return adam_loop(d, tau_norm, lam, solver, seed)
    S = exact(d, tau_norm, lam) if solver.norm == "frobenius" else clip_negative(d - lam[..., None] / 2)
    S = torch.where(lam[..., None] == 0, clip_negative(d), S)
    found = torch.zeros(lam.shape, dtype=torch.int64, device=d.device)
    return S, objective(S, d, tau_norm, lam, solver.norm), found, found == 0


def exact(d: Tensor, tau_norm: Tensor, lam: Tensor) -> Tensor:
    """max(0, d − λ f), f² = (c² + Σ_inactive d²) / (1 − λ² n): from the most active n down, the first that agrees."""
    c2 = residual_square(d, tau_norm)
    most = d.sort(dim=-1, descending=True).values
    inactive = (
        torch.cat([most.square(), c2[..., None]], -1).flip(-1).cumsum(-1).flip(-1)
    )  # [..., k + 1]: c² + Σ_{l ≥ n} d²
    f, found = torch.full_like(c2, torch.nan), c2.isnan()
    for n in range(d.shape[-1], -1, -1):
        room = 1 - lam.square() * n
        value = torch.where(inactive[..., n] == 0, 0.0, inactive[..., n] / room).sqrt()
        # at n = 0 nothing is left to check; without a residual λ² n = 1 is a tie, and the larger set stays
        fits = torch.ones_like(found) if n == 0 else (most[..., n - 1] > lam * value) & (most[..., n - 1] > 0)
        fits &= (room > 0) | ((inactive[..., n] == 0) & (room >= 0))
        f, found = torch.where(fits & ~found, value, f), found | fits
    return clip_negative(d - (lam * f)[..., None])


def adam_loop(
    d: Tensor, tau_norm: Tensor, lam: Tensor, solver: Solver, seed: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Algorithm 1 of the paper: torch.optim.Adam's step, then S = max(0, S); each pair stops on its own."""
    unit = tau_norm[..., None] if solver.relative else torch.ones_like(tau_norm)[..., None]
    start = {"closed_form": lambda: d, "zeros": lambda: torch.zeros_like(d)}
    if seed is not None:
        start["normal"] = lambda: unit * normal(seed, d.shape[-1]).to(d)
    S = clip_negative(start[solver.start]())
    mean = variance = torch.zeros_like(S)
    last, steps = torch.full_like(tau_norm, torch.inf), torch.zeros(tau_norm.shape, dtype=torch.int64, device=d.device)
    converged = stopped = torch.zeros_like(steps, dtype=torch.bool)
    for step in range(1, solver.steps + 1):
        loss = objective(S, d, tau_norm, lam, solver.norm)
        if solver.tol > 0:
            converged = converged | ((loss - last).abs() <= solver.tol * unit[..., 0])
            stopped, last = converged | loss.isnan(), loss
            if stopped.all():
                break
        gap = S - d
        if solver.norm == "squared":
            gradient = 2 * gap + lam[..., None]
        else:
            distance = (residual_square(d, tau_norm) + gap.square().sum(-1)).sqrt()[..., None]
            gradient = torch.where(distance == 0, 0.0, gap / distance) + lam[..., None]
        mean = solver.beta1 * mean + (1 - solver.beta1) * gradient
        variance = solver.beta2 * variance + (1 - solver.beta2) * gradient.square()
        rate = solver.lr * unit / (1 - solver.beta1**step) * (1 - (step - 1) / solver.steps if solver.decay else 1)
        moved = S - rate * mean / (variance.sqrt() / (1 - solver.beta2**step) ** 0.5 + solver.eps)
        S = torch.where(stopped[..., None], S, clip_negative(moved))
        steps += ~stopped
    loss = objective(S, d, tau_norm, lam, solver.norm)
    if solver.tol > 0:
        converged = converged | (~stopped & ((loss - last).abs() <= solver.tol * unit[..., 0]))
    return torch.where(loss.isnan()[..., None], torch.nan, S), loss, steps, converged


def objective(S: Tensor, d: Tensor, tau_norm: Tensor, lam: Tensor, norm: str) -> Tensor:
    """‖U S Vᴴ − τ₂‖_F + λ ΣS, or with the square of the norm."""
    square = residual_square(d, tau_norm) + (S - d).square().sum(-1)
    return (square if norm == "squared" else square.sqrt()) + lam * S.sum(-1)


def residual_square(d: Tensor, tau_norm: Tensor) -> Tensor:
    """c² = ‖τ₂‖² − ‖d‖², what no S reaches; 0 where rounding makes it negative."""
    return clip_negative(tau_norm.square() - d.square().sum(-1))


def compare_spectra(
    s1: Tensor,
    s2: Tensor,
    *,
    metrics: Sequence[str] = ("l1", "l2", "rec", "entropy", "entropy_projected"),
    p: float | None = None,
) -> dict[str, Tensor]:
    """Step 4 of the method on two spectra (..., k)."""
    s1, s2 = torch.broadcast_tensors(s1.double(), s2.double())  # type: ignore[no-untyped-call]
    return {name: METRICS[name](Pair(s1=s1, s2=s2, p=p or 1.0)) for name in metrics}


@dataclass
class Pair:
    """What a metric of source→target may use; the shapes broadcast to (..., N, M) and (..., N, M, k)."""

    s1: Tensor
    s2: Tensor
    p: float = 1.0
    d: Tensor = NOT_GIVEN
    tau_norm: Tensor = NOT_GIVEN  # ‖τ₂‖_F
    source_norm: Tensor = NOT_GIVEN  # ‖τ₁‖_F
    inner: Tensor = NOT_GIVEN  # ⟨τ₁, τ₂⟩
    rank_target: Tensor = NOT_GIVEN
    cross_u: Tensor = NOT_GIVEN  # U₁ᵀU₂
    cross_v: Tensor = NOT_GIVEN  # V₁ᵀV₂
    size: int = 0  # m · n

    @property
    def rank(self) -> Tensor:
        """r: the number of non-zero S₁."""
        return (self.s1 > 0).sum(-1)

    @property
    def undefined(self) -> Tensor:
        """No source direction or no target: what is then a ratio of zeros."""
        return (self.rank == 0) | (self.tau_norm == 0)


def l1(pair: Pair) -> Tensor:
    return (pair.s1 - pair.s2).abs().sum(-1)


def l2(pair: Pair) -> Tensor:
    return norm_last(pair.s1 - pair.s2)


def linf(pair: Pair) -> Tensor:
    return (pair.s1 - pair.s2).abs().amax(-1)


def lp(pair: Pair) -> Tensor:
    value: Tensor = torch.linalg.vector_norm(pair.s1 - pair.s2, pair.p, dim=-1)
    return value


def rec(pair: Pair) -> Tensor:
    """Σ_k min(S₁ₖ/ΣS₁, S₂ₖ/ΣS₂); 0 when one of them is a zero spectrum."""
    sum1, sum2 = pair.s1.sum(-1), pair.s2.sum(-1)
    overlap = torch.minimum(pair.s1 / sum1[..., None], pair.s2 / sum2[..., None]).sum(-1)
    return torch.where((sum1 == 0) | (sum2 == 0), 0.0, overlap)


def entropy(pair: Pair) -> Tensor:
    return normalised_entropy(pair.s1, pair.rank)


def entropy_projected(pair: Pair) -> Tensor:
    return normalised_entropy(pair.s2, pair.rank)


def cosine(pair: Pair) -> Tensor:
    return torch.where(pair.undefined, torch.nan, pair.inner / (pair.source_norm * pair.tau_norm))


def residual(pair: Pair) -> Tensor:
    """‖U S₂ Vᴴ − τ₂‖_F / ‖τ₂‖_F, whose square is 1 − ΣS₂(2 d − S₂)/‖τ₂‖²: with S₂ = max(0, d), 1 − energy."""
    held = (pair.s2 / pair.tau_norm[..., None] * (2 * pair.d - pair.s2) / pair.tau_norm[..., None]).sum(-1)
    return torch.where(pair.undefined, torch.nan, (1 - held).clamp(min=0).sqrt())


def energy(pair: Pair) -> Tensor:
    return torch.where(pair.undefined, torch.nan, (pair.s2 / pair.tau_norm[..., None]).square().sum(-1))


def excess(pair: Pair) -> Tensor:
    held = (pair.d / pair.tau_norm[..., None]).square().sum(-1)
    return torch.where(pair.undefined, torch.nan, held * pair.size / pair.rank)


def overlap_u(pair: Pair) -> Tensor:
    return overlap(pair, pair.cross_u)


def overlap_v(pair: Pair) -> Tensor:
    return overlap(pair, pair.cross_v)


METRICS: dict[str, Callable[[Pair], Tensor]] = {
    f.__name__: f
    for f in (l1, l2, linf, lp, rec, entropy, entropy_projected, cosine, residual, energy, excess, overlap_u, overlap_v)
}


def overlap(pair: Pair, cross: Tensor) -> Tensor:
    smaller = torch.minimum(pair.rank, pair.rank_target)
    return torch.where(pair.undefined, torch.nan, cross.square().sum((-2, -1)) / smaller)


def normalised_entropy(s: Tensor, rank: Tensor) -> Tensor:
    """−(1/log r) Σ p log p with p = s/Σs; NaN for a zero spectrum, 0 for one component."""
    share = s / s.sum(-1, keepdim=True)  # NaN when Σs = 0
    h = -torch.special.xlogy(share, share).sum(-1) / rank.double().log()
    return torch.where((s.sum(-1) == 0) | (rank == 0), torch.nan, torch.where(rank == 1, 0 * share.sum(-1), h) + 0.0)


def dense(b: Tensor, a: Tensor, scale: float | Tensor) -> Tensor:
    """τ = scale · b · a in fp64, (..., m, n)."""
    return torch.as_tensor(scale, dtype=torch.float64, device=b.device)[..., None, None] * (b.double() @ a.double())


def frobenius(t: Tensor) -> Tensor:
    return t.double().square().sum((-2, -1)).sqrt()


def norm_last(t: Tensor) -> Tensor:
    return t.square().sum(-1).sqrt()


def clip_negative(d: Tensor) -> Tensor:
    """max(0, d), NaN kept."""
    return torch.where(d < 0, 0.0, d)
