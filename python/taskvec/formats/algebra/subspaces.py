"""Methods that work on subspaces of the base weight W, out × in: DEFT, PSOFT, OSF, FRoD, AdaMSS, PEANuT."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .basics import as_matrix, wide
from .rotations import cayley, skew_from_upper

Factors = tuple[Tensor, Tensor]
SVD = tuple[Tensor, Tensor, Tensor]  # U, S, Vᵀ


def deft(weight: Tensor, p: Tensor, r: Tensor | None, scale: float, orthogonal: bool) -> Factors:
    """DEFT: Q (s·R − Kᵀ W), Q and K of P (out, r): its orthonormal basis both, or P and its positive part.

    Without R, PaRa: the subspace is taken off.
    """
    p = wide(p)
    left, right = (torch.linalg.qr(p).Q,) * 2 if orthogonal else (p, p.relu())
    taken = right.mT @ wide(as_matrix(weight))
    return left, -taken if r is None else scale * wide(r) - taken


def psoft(weight: Tensor, turn: Tensor, balanced: bool, principal: Callable[[Tensor, int], SVD]) -> Factors:
    """PSOFT: U √S (R − I) √S Vᵀ of the r leading singular directions; not balanced: U S (R − I) Vᵀ.

    turn: R − I (r, r); principal: gives U, S and Vᵀ of a matrix.
    """
    u, s, vh = principal(wide(as_matrix(weight)), turn.shape[0])
    if balanced:
        return u * s.sqrt() @ turn, s.sqrt()[:, None] * vh
    return u * s @ turn, vh


def rotation_of(vector: Tensor, size: int, terms: int | None, radius: float | None) -> Tensor:
    """PSOFT's rotation (I + Q)(I − Q)⁻¹, Q skew with the vector above its diagonal; with ``terms`` its series.

    radius: what Q is shortened to for the series; None: it is not.
    """
    skew = skew_from_upper(vector[None], size)
    if terms is None:
        return cayley(-skew)[0]
    if radius is not None:
        norm = skew.norm()
        skew = torch.where(norm > radius, skew * (radius / (norm + 1e-12)), skew)
    return cayley(skew, terms)[0]


def exact_principal(weight: Tensor, rank: int) -> SVD:
    """The leading singular directions U, S, Vᵀ."""
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    return u[:, :rank], s[:rank], vh[:rank]


def drawn_principal(weight: Tensor, rank: int, rounds: int, seed: int) -> SVD:
    """The same by a randomised SVD whose draw is that of ``seed`` on a CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        u, s, v = torch.svd_lowrank(weight, q=rank, niter=rounds)
    return u, s, v.mT


def osf(weight: Tensor, u: Tensor, s: Tensor, vh: Tensor) -> Tensor:
    """OSF: U S Vᵀ in place of W's smallest singular components, as many."""
    weight = wide(as_matrix(weight))
    left, values, right = exact_principal(weight, min(weight.shape) - s.shape[0])
    return (wide(u) * wide(s)) @ wide(vh) - (weight - left * values @ right)


def frod(weight: Tensor, v: Tensor, size: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """FRoD: U (diag(λ) + S) Vᵀ − W; U is W V⁻ᵀ with columns of length 1, S sparse.

    In fp64, as V may be near singular. size: λ (in,); places: rows and columns (2, count) of the values of S.
    """
    weight, v = as_matrix(weight).double(), v.double()
    try:
        u = torch.linalg.solve(v, weight.mT).mT
    except RuntimeError:
        u = weight @ torch.linalg.pinv(v, rtol=1e-6).mT
    norms = u.norm(dim=0)
    u = torch.where(norms > 1e-12, u / norms, 0)
    core = torch.diag(size.double()).index_put((places[0].long(), places[1].long()), values.double(), accumulate=True)
    return (u @ core @ v.mT - weight).float()


def adamss(directions: Tensor, *factors: Tensor, inputs: int, rows: Tensor) -> Factors:
    """AdaMSS: the rows of block i, which ``rows`` tells, are B_i A_i D, D the directions (r, in[ + 1 for a bias])."""
    a, b = factors[: len(factors) // 2], factors[len(factors) // 2 :]
    stacked: Tensor = torch.block_diag(*map(wide, b))  # type: ignore[no-untyped-call]
    whole = torch.empty_like(stacked).index_copy(0, rows.to(stacked.device), stacked)
    return whole, torch.cat([wide(each) for each in a]) @ wide(directions)[:, :inputs]


def peanut(weight: Tensor, b: Tensor, a: Tensor, *layers: Tensor, activation: Callable[[Tensor], Tensor]) -> Factors:
    """PEANuT: B times a small network of W: σ(A W), then encoders and, with what went into them, decoders."""
    hidden = activation(wide(a) @ wide(as_matrix(weight)))  # [r, in]
    kept = []
    for encoder in layers[: len(layers) // 2]:
        kept.append(hidden)
        hidden = activation(wide(encoder) @ hidden)
    for decoder in layers[len(layers) // 2 :]:
        hidden = activation(wide(decoder) @ hidden) + kept.pop()
    return b, hidden
