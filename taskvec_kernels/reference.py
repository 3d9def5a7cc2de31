"""The fp64 oracle: every public function the slow, obvious way.

Tests and benchmarks compare with these functions and no others. They form the m × n matrices and follow the formulas
of docs/METHOD.md line by line; nothing here is meant to be fast. Same arguments and shapes as the public functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .types import LowRankSVD, Pairwise

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
    live &= S > 8 * EPS * (torch.as_tensor(scale).abs().to(S) * terms)[..., None]
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
) -> Pairwise:
    """Every τ of x projected on every other's directions, one direction after the other."""
    other = x if y is None else y
    forward = one_way(x, other, metrics, spectra, p)
    return Pairwise(forward, None if y is None else one_way(other, x, metrics, spectra, p))


def one_way(x: LowRankSVD, y: LowRankSVD, metrics: Sequence[str], spectra: bool, p: float | None) -> dict[str, Tensor]:
    """Metrics of x_i→y_j, (..., N, M), and with ``spectra`` S₂ and d, (..., N, M, k_x)."""
    xU, xS, xVh = (t.double() for t in x)
    yU, yS, yVh = (t.double() for t in y)
    tau = yU * yS[..., None, :] @ yVh  # [..., M, m, n]
    d = torch.einsum("...imk,...jmn,...ikn->...ijk", xU, tau, xVh)  # [..., N, M, k_x]
    tau_x = xU * xS[..., None, :] @ xVh
    pair = Pair(
        s1=xS[..., :, None, :].expand(d.shape),
        d=d,
        s2=clip_negative(d),
        tau_norm=norm(tau)[..., None, :],
        source_norm=norm(tau_x)[..., :, None],
        inner=torch.einsum("...imn,...jmn->...ij", tau_x, tau),
        rank_target=(yS > 0).sum(-1)[..., None, :],
        cross_u=torch.einsum("...imk,...jml->...ijkl", xU, yU),
        cross_v=torch.einsum("...ikn,...jln->...ijkl", xVh, yVh),
        size=xU.shape[-2] * xVh.shape[-1],
        p=p or 1.0,
    )
    out = {name: METRICS[name](pair) for name in metrics}
    return out | {"spectra": pair.s2, "d": d} if spectra else out


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
    """‖U S₂ Vᴴ − τ₂‖_F / ‖τ₂‖_F, whose square is 1 − ΣS₂²/‖τ₂‖² by the normal equations."""
    return torch.where(
        pair.undefined, torch.nan, (1 - (pair.s2 / pair.tau_norm[..., None]).square().sum(-1)).clamp(min=0).sqrt()
    )


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
    return torch.as_tensor(scale, device=b.device).double()[..., None, None] * (b.double() @ a.double())


def norm(t: Tensor) -> Tensor:
    return t.double().square().sum((-2, -1)).sqrt()


def norm_last(t: Tensor) -> Tensor:
    return t.square().sum(-1).sqrt()


def clip_negative(d: Tensor) -> Tensor:
    """max(0, d), NaN kept."""
    return torch.where(d < 0, 0.0, d)
