"""The error bounds that the kernels promise against ``taskvec_kernels.reference``; derived in docs/NUMERICS.md.

One function a bound, the same names as there, the same values on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from taskvec_kernels.sign_patterns import bits, sign_patterns

# ‖δd‖₂ / ‖S_j‖₂ of fp32 arithmetic, by `precision`
PROJECTION = {"highest": 2e-6, "high": 1e-3, "medium": 8e-3}


def unit(dtype: torch.dtype) -> float:
    """Unit roundoff of what inputs of ``dtype`` are computed and returned in: fp64, or fp32 for all others."""
    return 2.0**-53 if dtype == torch.float64 else 2.0**-24


def projection(dtype: torch.dtype, precision: str = "highest") -> float:
    """ε: ‖δd‖₂ ≤ ε ‖S_j‖₂, hence |δd_k| ≤ ε ‖S_j‖₂. In fp64 as many units, and as many again for the oracle."""
    if dtype == torch.float64:
        return 2 * PROJECTION["highest"] * unit(dtype) / unit(torch.float32)
    return PROJECTION[precision]


def aligned_projection(dtype: torch.dtype, length: int) -> float:
    """ε when rounding errors add up instead of cancelling: holds for any input, random or not."""
    run = 256 if dtype == torch.float64 else 512
    return 2 * (min(length, run) + length / run + 4) * unit(dtype)


def sliced_projection(precision: str, length: int, peak: float) -> float:
    """ε of products by slices for any input whatever; ``peak`` is the largest entry of a direction, and √length times
    it at most 64, as other directions are not sliced."""
    step = peak / (8355711 if precision == "highest" else 32639)
    dropped = 2.0**-30 * length * peak**2 if precision == "highest" else 0.0
    return 2.01 * (2 * step * math.sqrt(length) + dropped + (length / 512 + 3) * 2.0**-24)


def triton_projection(dtype: torch.dtype, precision: str, length: int) -> float:
    """ε of the Triton backend for fp32 inputs; ``length`` is the larger one of m and n.

    Any sum of ``length`` products in tensor cores that truncate once in 16 positions, and operands in fp16 ("medium")
    or in two fp16 halves.
    """
    if dtype == torch.float64 or precision == "highest":
        return projection(dtype, precision)
    operands = 3 * 2.0**-22 if precision == "high" else 2.0**-10
    return 2 * (operands + length * 2.0**-27 + 8 * 2.0**-24)


def triton_aligned_projection(length: int) -> float:
    """ε of "highest" on the Triton backend for any input whatever: runs of 256 positions."""
    return 2 * (3 * 2.0**-22 + 16 * 2.0**-23 + (length / 256 + 8) * 2.0**-24)


def orthogonality(dtype: torch.dtype, r: int, condition: float) -> float:
    """‖UᵀU − I‖_max on the numerical rank; ``condition`` is the larger one of the two factors.

    In fp64 what one Cholesky pass leaves, 2 r κ² units, counts where a second one is skipped: κ² ≤ 4 r.
    """
    if dtype != torch.float64:
        return 5e-6
    return (8 + 4 * math.sqrt(r) * condition + 2 * r * min(condition**2, 4 * r)) * unit(dtype)


def reconstruction(dtype: torch.dtype, r: int, condition: float) -> float:
    """‖τ − U S Vᴴ‖_F / ‖τ‖_F."""
    return (8 + 2 * r + 4 * math.sqrt(r) * condition) * unit(dtype) if dtype == torch.float64 else 1e-6


def cancellation(b: Tensor, a: Tensor, k: int) -> float:
    """16 (1 + √k) 2⁻⁵³ Σ_l ‖b_l‖‖a_l‖, the error of τ where its terms cancel; to round the inputs costs as much.

    Singular values up to 16 of it are rounding, and zero.
    """
    terms = (b.double().norm(dim=-2) * a.double().norm(dim=-1)).sum(-1)
    return float(16 * (1 + math.sqrt(k)) * 2.0**-53 * terms)


def singular_values(dtype: torch.dtype, r: int, condition: float) -> float:
    """|δS_k| / ‖τ‖_F, by Weyl no more than the error of τ."""
    return reconstruction(dtype, r, condition)


@dataclass
class Pairs:
    """What the bounds of source→target metrics are made of, all fp64; shapes broadcast to (..., N, M)."""

    u: float  # unit roundoff
    eps: float  # ε of ``projection``; 0 when the spectra are given
    eta: Tensor  # ‖δS₂‖₂: ε ‖S_j‖₂, and for λ > 0 what ``threshold`` adds
    k: int  # terms of a sum over a spectrum
    value: dict[str, Tensor]  # the oracle's results
    s1: Tensor  # (..., N, 1, k)
    s2: Tensor  # (..., N, M, k), the oracle's
    d: Tensor | None = None  # S₂ before clipping: d − λ f*
    eta_d: Tensor | None = None  # ‖δd‖₂: ε ‖S_j‖₂
    moved: Tensor | None = None  # for λ > 0: ‖δS₂‖ / ‖τ_j‖
    gap: Tensor | float = 0.0  # and ‖S₂ − d‖ / ‖τ_j‖
    rank_source: Tensor | None = None
    rank_target: Tensor | None = None
    defect: Tensor | float = 0.0  # |‖τ_j‖_F / ‖S_j‖₂ − 1|: what the inputs lack of orthonormality
    source_defect: Tensor | float = 0.0
    skew_u: Tensor | float = 0.0  # ‖U_jᵀU_j − I‖₂, and of V_j
    skew_v: Tensor | float = 0.0
    size: int = 0  # m · n
    p: float = 1.0

    @property
    def sum2(self) -> Tensor:
        return self.s2.sum(-1)

    @property
    def noise(self) -> Tensor:
        """Pairs whose ΣS₂ may be rounding alone: their S₂ has no shape to compare."""
        live = (self.s1 > 0) & (self.s2 > -self.eta[..., None] if self.d is None else self.d > -self.eta[..., None])
        return (self.sum2 < 2 * math.sqrt(self.k) * self.eta) & live.any(-1) & (self.eta > 0)


def d(c: Pairs) -> Tensor:
    assert c.eta_d is not None
    return c.eta_d[..., None].expand(c.s2.shape)


def spectra(c: Pairs) -> Tensor:
    """Clipping is a contraction."""
    return c.eta[..., None].expand(c.s2.shape)


def l1(c: Pairs) -> Tensor:
    moved = math.sqrt(c.k) * c.eta
    return moved + (c.k + 2) * c.u * (c.value["l1"] + moved)


def l2(c: Pairs) -> Tensor:
    return c.eta + (c.k + 4) * c.u * (c.value["l2"] + c.eta)


def linf(c: Pairs) -> Tensor:
    return c.eta + 2 * c.u * (c.value["linf"] + c.eta)


def lp(c: Pairs) -> Tensor:
    """‖δ‖_p ≤ max(1, k^(1/p − 1/2)) ‖δ‖₂ for p ≥ 1; for p < 1, Σ|x + δ|^p ≤ Σ|x|^p + Σ|δ|^p."""
    p, value = c.p, c.value["lp"]
    moved = max(1.0, c.k ** (1 / p - 0.5)) * c.eta
    if p < 1:
        moved = (value**p + moved**p) ** (1 / p) - value
    return moved + ((c.k + 4) / p + 4) * c.u * (value + moved)


def rec(c: Pairs) -> Tensor:
    """Σ|δ share| ≤ 2 Σ|δS₂| / ΣS₂, and min is 1-Lipschitz."""
    moved = 2 * math.sqrt(c.k) * c.eta / c.sum2
    return torch.where(c.sum2 == 0, c.noise.double(), moved + (c.k + 4) * c.u).clamp(max=1.0)


def entropy_projected(c: Pairs) -> Tensor:
    """Fannes–Audenaert: |δH| ≤ t log(r − 1) + h(t) for shares that differ by t = ½ Σ|δ share|."""
    r = (c.s1 > 0).sum(-1).double()
    t = (math.sqrt(c.k) * c.eta / c.sum2).nan_to_num(0.0).clamp(max=0.5)
    h = -torch.special.xlogy(t, t) - torch.special.xlogy(1 - t, 1 - t)
    moved = (t * (r - 1).clamp(min=1).log() + h) / r.log()
    rounded = (c.k + 16) * c.u * (1 + 1 / r.log())
    return torch.where(r > 1, moved + rounded, 0.0)


def entropy(c: Pairs) -> Tensor:
    """S₁ is given: rounding alone."""
    r = (c.s1 > 0).sum(-1).double()
    return torch.where(r > 1, (c.k + 16) * c.u * (1 + 1 / r.log()), 0.0)


def cosine(c: Pairs) -> Tensor:
    """The last term is the oracle's own: it sums m · n products in fp64."""
    lacking = (1 + c.defect) * (1 + c.source_defect) - 1
    return c.eps + (c.k + 4) * c.u + lacking * c.value["cosine"].abs() + math.sqrt(c.size) * 2.0**-53


def energy(c: Pairs) -> Tensor:
    """|‖S₂ + δ‖² − ‖S₂‖²| / ‖τ‖² ≤ 2 ε: 4e-6 for fp32; for λ > 0 ‖δS₂‖ takes the place of ε ‖τ‖."""
    moved = 2 * c.eps if c.moved is None else 2 * c.moved + c.moved**2
    return moved + ((1 + c.defect) ** 2 - 1) * c.value["energy"]


def residual_squared(c: Pairs) -> Tensor:
    """1 − energy; for λ > 0, 1 − S₂·(2 d − S₂)/‖τ‖², of which 2 S₂·δd, 2 (d − S₂)·δS₂ and two squares move."""
    if c.moved is None:
        return energy(c)
    lacking = ((1 + c.defect) ** 2 - 1) * (1 - c.value["residual"].square()).abs()
    return 2 * c.eps + 2 * c.gap * c.moved + c.moved * (c.moved + 2 * c.eps) + lacking


def excess(c: Pairs) -> Tensor:
    chance = c.rank_source / c.size
    return 2 * c.eps / chance + ((1 + c.defect) ** 2 - 1 + 4 * c.u) * c.value["excess"]


def overlap_u(c: Pairs) -> Tensor:
    return c.eps + (c.rank_source * c.rank_target).sqrt() * c.u


overlap_v = overlap_u


def captured(c: Pairs) -> Tensor:
    """‖δM‖ ≤ √r ε ‖S_j‖ for M = G_U S_j G_Vᵀ of r rows, and k roundings of each sum; the square follows."""
    return share(c, "captured", 0.0)


def captured_out(c: Pairs) -> Tensor:
    """‖U_iᵀτ_j‖ is taken for ‖G_U S_j‖, as if V_j were orthonormal."""
    return share(c, "captured_out", c.skew_v)


def captured_in(c: Pairs) -> Tensor:
    return share(c, "captured_in", c.skew_u)


def share(c: Pairs, name: str, skew: Tensor | float) -> Tensor:
    """|‖M + δ‖² − ‖M‖²| ≤ 2 ‖M‖‖δ‖ + ‖δ‖², over ‖τ_j‖²."""
    value = c.value[name]
    moved = c.rank_source.sqrt() * c.eps + (c.k + 4) * c.u
    lacking = (1 + c.defect) ** 2 * (1 + skew) - 1
    return 2 * value.sqrt() * moved + moved**2 + (lacking + (2 * c.k + 4) * c.u) * value


def rec_chance(c: Pairs) -> Tensor:
    """The mean over the patterns of what each one's REC may move by, and rounding."""
    return pattern_moves(c)[0] + (c.k + 12) * c.u


def rec_chance_sd(c: Pairs) -> Tensor:
    """A deviation moves by no more than the root mean square; rounding of the variance counts as its root near 0."""
    moved = pattern_moves(c)[1] + (c.k + 12) * c.u
    variance = (pattern_bits(c.k) + 8) * c.u
    spread = (c.value["rec_chance_sd"] - moved).clamp(min=0)
    return moved + torch.minimum(torch.full_like(spread, variance).sqrt(), variance / spread)


def pattern_bits(k: int) -> int:
    return max(bits(r) for r in range(k + 1))


def pattern_moves(c: Pairs) -> tuple[Tensor, Tensor]:
    """Mean and root mean square over the patterns of min(1, 2 √r η / Σ |d| that is on)."""
    assert c.d is not None
    size = c.d.abs()
    ranks = torch.where((c.s1 == 0) & (size == 0), 0, torch.arange(1, c.k + 1)).amax(-1).clamp(min=1)
    mean, square = torch.zeros(ranks.shape).double(), torch.zeros(ranks.shape).double()
    for r in ranks.unique().tolist():
        on = sign_patterns(r).double()
        for some in (ranks == r).nonzero().split(max(1, 2**22 // len(on))):
            at = some.unbind(-1)
            total = size[at][:, :r] @ on.T  # [pairs, patterns]
            moved = (2 * math.sqrt(r) * c.eta[at][:, None] / total).nan_to_num(0.0).clamp(max=1.0)
            moved = torch.where(on.any(-1), moved, 0.0)
            mean[at], square[at] = moved.mean(-1), moved.square().mean(-1)
    return mean, square.sqrt()


METRICS: dict[str, Callable[[Pairs], Tensor]] = {
    "l1": l1,
    "l2": l2,
    "linf": linf,
    "lp": lp,
    "rec": rec,
    "entropy": entropy,
    "entropy_projected": entropy_projected,
    "cosine": cosine,
    "residual": residual_squared,  # compared squared: it cancels
    "energy": energy,
    "excess": excess,
    "overlap_u": overlap_u,
    "overlap_v": overlap_v,
    "captured": captured,
    "captured_out": captured_out,
    "captured_in": captured_in,
    "rec_chance": rec_chance,
    "rec_chance_sd": rec_chance_sd,
}


@dataclass
class Sparse:
    """A sparse projection, by the oracle, and by how much what goes into it is off; fp64, (..., k) and (...)."""

    d: Tensor
    tau_norm: Tensor
    lam: Tensor
    s: Tensor  # S₂
    u: float  # unit roundoff of the result
    square: Tensor  # Δ: error of c² and of d together, in the equation of f*²
    eta: Tensor | float = 0.0  # |δd_k|

    @property
    def c2(self) -> Tensor:
        return (self.tau_norm.square() - self.d.square().sum(-1)).clamp(min=0)


def sparse_square(k: int) -> float:
    """Δ / ‖τ‖² when d and ‖τ‖ are given: k squares are summed twice in fp64, and as much again for the oracle."""
    return (4 * k + 16) * 2.0**-53


def projected_square(eps: float, defect: Tensor | float) -> Tensor | float:
    """Δ / ‖τ‖² for ‖δd‖ ≤ ε ‖τ‖ and a ‖τ‖ that is off by ``defect``."""
    return 2 * eps + eps**2 + (1 + defect) ** 2 - 1


def threshold(c: Sparse) -> Tensor:
    """λ |δf*|. x = f*² solves x = h(x), h concave and h(0) ≥ 0, so that an error Δ of h moves x by at most
    Δ / (1 − λ²·|active|) upwards and Δ x / h(0) downwards."""
    x = c.c2 + (c.s - c.d).square().sum(-1)
    start = c.c2 + torch.where(c.d > 0, 0.0, c.d).square().sum(-1)  # h(0)
    slope = 1 - c.lam.square() * (c.s > 0).sum(-1)
    up = torch.where(c.square == 0, 0.0, c.square / slope.clamp(min=0))
    down = torch.minimum(x, torch.where(x == 0, 0.0, c.square * x / start))
    moved = torch.maximum(up, down)
    return c.lam * torch.minimum(moved.sqrt(), torch.where(moved == 0, 0.0, moved / x.sqrt()))


def sparse(c: Sparse) -> Tensor:
    """|δS_k|: of d, of the threshold, of two roundings in fp64 and one of the result; S_k is in [0, max(0, d_k)]."""
    positive = c.d.clamp(min=0)
    moved = c.eta + threshold(c)[..., None] + 4 * 2.0**-53 * positive
    return torch.minimum(moved, positive + c.eta) + c.u * c.s


def soft(c: Sparse) -> Tensor:
    """|δS_k| of max(0, d − λ/2): nothing but rounding."""
    return c.eta + 2 * 2.0**-53 * c.d.clamp(min=0) + c.u * c.s


def residual_move(c: Sparse) -> Tensor:
    """|δc| for |δc²| ≤ Δ."""
    return torch.minimum(c.square.sqrt(), torch.where(c.square == 0, 0.0, c.square / c.c2.sqrt()))


def sparse_objective(c: Sparse, value: Tensor) -> Tensor:
    """The objective is 1-Lipschitz in c, and c counts twice: once in S, once in the value; then rounding."""
    return 2 * residual_move(c) + ((c.d.shape[-1] + 4) * 2.0**-53 + c.u) * value


def soft_objective(c: Sparse, value: Tensor) -> Tensor:
    """With the square of the norm c² itself is a term."""
    return c.square + ((c.d.shape[-1] + 4) * 2.0**-53 + c.u) * value


def adam_steps(dtype: torch.dtype, steps: int) -> float:
    """|δS_k| / (‖τ‖ + max S) after a few steps. Measured, ten times under it: a step divides by the size of a gradient,
    which may itself be rounding."""
    return (1e-6 if dtype != torch.float64 else 2e-15) * steps


def project(dtype: torch.dtype, U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: Tensor | float) -> Tensor:
    """|δd_k| ≤ ε |scale| ‖u_k‖‖v_k‖ Σ_l ‖b_l‖‖a_l‖: raw factors may cancel, so the bound is on their terms."""
    terms = (b.double().norm(dim=-2) * a.double().norm(dim=-1)).sum(-1)
    return projection(dtype) * lengths(U, Vh) * (torch.as_tensor(scale).double().abs() * terms)[..., None]


def project_dense(dtype: torch.dtype, U: Tensor, Vh: Tensor, tau: Tensor) -> Tensor:
    """|δd_k| ≤ ε ‖u_k‖‖v_k‖‖τ‖_F."""
    return projection(dtype) * lengths(U, Vh) * torch.linalg.matrix_norm(tau.double())[..., None]


def lengths(U: Tensor, Vh: Tensor) -> Tensor:
    return U.double().norm(dim=-2) * Vh.double().norm(dim=-1)
