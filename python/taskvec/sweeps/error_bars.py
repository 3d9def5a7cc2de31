"""How far REC and captured move when the factors of two updates are rounded, or have any other noise.

First order in the noise (docs/NUMERICS.md, "Error bars"), from the factors and the canonical forms of a pair alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, lowrank_svd

from ..adapters import Adapter, LowRank, Module
from ..errors import TaskvecError
from ..store.canonical import factors
from ..store.entry import entry_of
from .plan import match_modules

MOST_TURN = 0.5  # variance of the sine of an angle that may be any
MOST = 0.5  # nothing in [0, 1] spreads more


@dataclass(frozen=True)
class ErrorBars:
    """Root mean square errors of the metrics of source→target, (...)."""

    rec: Tensor
    captured: Tensor


def rounding_noise(dtype: torch.dtype) -> float:
    """The relative noise, root mean square, of rounding to a dtype: 2⁻⁹ for bf16, 2⁻¹² for fp16."""
    return torch.finfo(dtype).eps / 4


@dataclass(frozen=True)
class Noisy:
    """τ = B A = U S Vᴴ in fp64, whose entries of B (..., m, r) and A (..., r, n) have independent relative noise."""

    b: Tensor
    a: Tensor
    relative: float
    form: LowRankSVD

    @classmethod
    def of(cls, b: Tensor, a: Tensor, scale: float, relative: float) -> Noisy:
        form = lowrank_svd(b.double(), a.double(), scale)
        return cls(scale * b.double(), a.double(), relative, form)

    def variance(self, left: Tensor, right: Tensor) -> Tensor:
        """Of ⟨X, δτ⟩ = ⟨X, E_B A + B E_A⟩, X = left · right (..., m, n)."""
        of_b, of_a = left @ (right @ self.a.mT), (self.b.mT @ left) @ right
        found: Tensor = (self.b * of_b).square().sum((-2, -1)) + (self.a * of_a).square().sum((-2, -1))
        return self.relative**2 * found

    def entries(self) -> Tensor:
        """Variances (..., k, k) of (Uᵀ δτ V)_kl."""
        U, V = self.form.U, self.form.Vh.mT
        of_b = (U.square().mT @ self.b.square()) @ (self.a @ V).square()
        of_a = (U.mT @ self.b).square() @ (self.a.square() @ V.square())
        return self.relative**2 * (of_b + of_a)

    def leaving(self) -> tuple[Tensor, Tensor]:
        """E WᵀW of what leaves span(U), W = (I − U Uᵀ) δτ V S⁻¹, and the same of V, (..., k, k)."""
        of_u = torch.linalg.vector_norm(self.b, dim=-2)[..., :, None] * (self.a @ self.form.Vh.mT)
        of_v = torch.linalg.vector_norm(self.a, dim=-1)[..., :, None] * (self.b.mT @ self.form.U)
        weight = self.relative * inverse(self.form.S)[..., None, :]
        of_u, of_v = of_u * weight, of_v * weight
        return of_u.mT @ of_u, of_v.mT @ of_v

    def longer(self) -> Tensor:
        """E ‖δτ‖²."""
        return 2 * self.relative**2 * (self.b.square().sum(-2) * self.a.square().sum(-1)).sum(-1)


def error_bars(x: Noisy, y: Noisy) -> ErrorBars:
    """Error bars of the REC (at λ = 0) and the captured of x→y, one pair for each place of the batch.

    Returns:
        One root mean square error each, fp64 (...), at most ½. 0 for the REC of a zero update; NaN for the captured of
        a zero target, and 0 for that of a zero source.

    Cost:
        Some 10 (m + n) (r + k)² flop in fp64, for ranks r and k directions.
    """
    pair = Pair.of(x, y)
    return ErrorBars(pair.rec().sqrt().clamp(max=MOST), pair.captured().sqrt().clamp(max=MOST))


@dataclass(frozen=True)
class Pair:
    """Of x→y: τ₂ V (..., m, k), τ₂ᵀ U (..., n, k) and M = Uᵀ τ₂ V (..., k, k), U and V the source's."""

    x: Noisy
    y: Noisy
    TV: Tensor
    TU: Tensor
    M: Tensor

    @classmethod
    def of(cls, x: Noisy, y: Noisy) -> Pair:
        U, V = x.form.U, x.form.Vh.mT
        TV, TU = y.b @ (y.a @ V), y.a.mT @ (y.b.mT @ U)
        return cls(x, y, TV, TU, U.mT @ TV)

    def rec(self) -> Tensor:
        """The variance of REC: by S₁, turns inside the source's subspaces, leaving them, and the target."""
        U, s, Vh = self.x.form
        d = torch.diagonal(self.M, dim1=-2, dim2=-1)
        s2 = d.clamp(min=0)
        by_d = torch.where(d > 0, slope(s2, s), 0)
        inside = self.turns(by_d) + torch.diag_embed(slope(s, s2))  # ∂REC / ∂(Uᵀ δτ V)
        moved = self.x.variance(*self.gradient(U @ inside, torch.diag_embed(by_d)))
        return moved + self.y.variance(U * by_d[..., None, :], Vh)

    def captured(self) -> Tensor:
        """The mean square error of ‖M‖²/‖τ₂‖², which turns inside the source's subspaces leave alone."""
        U, _, Vh = self.x.form
        square = self.y.form.S.square().sum(-1)
        c = self.M.square().sum((-2, -1)) / square
        moved = self.x.variance(*self.gradient(0 * U, self.M))
        # X = U M Vᴴ − c τ₂
        left = torch.cat([U @ self.M, -c[..., None, None] * self.y.b], -1)
        own = self.y.variance(left, torch.cat([Vh, self.y.a], -2))
        # of second order, and all there is where the first is 0: the source's directions leave the target, and noise
        # lengthens the target outside of them
        leave_u, leave_v = self.x.leaving()
        fall = (leave_u * (self.M @ self.M.mT) + leave_v * (self.M.mT @ self.M)).sum((-2, -1))
        return 4 * (moved + own) / square.square() + ((fall + c * self.y.longer()) / square).square()

    def gradient(self, of_v: Tensor, by_M: Tensor) -> tuple[Tensor, Tensor]:
        """X in two factors: ``of_v`` Vᴴ, and what ∂/∂M is by the parts of δτ that leave span(U) and span(V)."""
        U, s, Vh = self.x.form
        leave_u, leave_v = self.x.leaving()
        out_u = (self.TV - U @ self.M) @ by_M.mT * (inverse(s) * capped(leave_u))[..., None, :]
        out_v = (self.TU - Vh.mT @ self.M.mT) @ by_M * (inverse(s) * capped(leave_v))[..., None, :]
        return torch.cat([of_v + out_u, U], -1), torch.cat([Vh, out_v.mT], -2)

    def turns(self, by_d: Tensor) -> Tensor:
        """∂REC / ∂(Uᵀ δτ V)_kl by the turn of directions k and l into each other, of variance ½ at most."""
        entry, s = self.x.entries(), self.x.form.S
        sk, sl = s[..., :, None], s[..., None, :]
        gap = sl.square() - sk.square()
        # variances of the turn of u and of v, times gap²
        turn_u = sl.square() * entry + sk.square() * entry.mT
        turn_v = sk.square() * entry + sl.square() * entry.mT
        room = torch.maximum(gap.abs(), (torch.maximum(turn_u, turn_v) / MOST_TURN).sqrt())
        gk, gl = by_d[..., :, None], by_d[..., None, :]
        of_u, of_v = gk * self.M.mT - gl * self.M, gk * self.M - gl * self.M.mT
        signed = torch.where(gap < 0, -1.0, 1.0) / room
        return torch.where((sk > 0) & (sl > 0) & (room > 0), -(sl * of_u + sk * of_v) * signed, 0)


def inverse(S: Tensor) -> Tensor:
    return torch.where(S > 0, 1 / S, 0)


def capped(leave: Tensor) -> Tensor:
    """What to scale a direction's leaving by, so that its square is ½ at most."""
    return (MOST_TURN / torch.diagonal(leave, dim1=-2, dim2=-1).clamp(min=MOST_TURN)).sqrt()


def bars_of_modules(a: Adapter, b: Adapter, noise: float | None = None) -> dict[str, ErrorBars]:
    """Error bars of a→b by module path, () each.

    Args:
        a: the source.
        b: the target.
        noise: relative, root mean square; None: that of rounding to the dtype in which each factor is stored. A dense
            update has no factors to round: NaN, or with ``noise`` that of balanced ones.

    Raises:
        TaskvecError: noise that is negative or not finite.

    Cost:
        Reads and factorises every module of both once more, one after the other, in fp64 on the CPU.
    """
    if noise is not None and not 0 <= noise < math.inf:
        raise TaskvecError("the noise of error bars must be a finite number ≥ 0", got=str(noise))
    found = {}
    for path in match_modules(entry_of(a), entry_of(b))[0]:
        found[path] = error_bars(noisy(a.modules[path], noise), noisy(b.modules[path], noise))
    return found


def noisy(module: Module, relative: float | None) -> Noisy:
    update = module.update()
    b, a, scale, _ = factors(update, module.rank)
    if isinstance(update, LowRank):
        stored = max(rounding_noise(b.dtype), rounding_noise(a.dtype))
        return Noisy.of(b, a, scale, stored if relative is None else relative)
    U, S, Vh = lowrank_svd(b.double(), a.double(), scale)
    root = S.sqrt()
    return Noisy.of(U * root, root[:, None] * Vh, 1.0, math.nan if relative is None else relative)


def slope(S: Tensor, other: Tensor) -> Tensor:
    """∂REC / ∂S_k of two spectra (..., k); 0 where one of them is zero."""
    total, of_other = S.sum(-1, keepdim=True), other.sum(-1, keepdim=True)
    below = S * of_other < other * total
    share = torch.where(below, S, 0).sum(-1, keepdim=True) / total
    return torch.where((total > 0) & (of_other > 0), (below.double() - share) / total, 0)
