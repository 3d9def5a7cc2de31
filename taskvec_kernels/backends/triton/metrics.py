"""The metrics of source→target for a block of pairs: one function each. docs/METHOD.md §4, reference.py.

Spectra are [pairs, k] with zeros beyond an adapter's directions, all else [pairs].
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def square_root(x):
    """Correctly rounded."""
    return tl.sqrt_rn(x) if x.dtype == tl.float32 else tl.sqrt(x)


@triton.jit
def l1(s1, s2):
    return tl.sum(tl.abs(s1 - s2), axis=1)


@triton.jit
def l2(s1, s2):
    return square_root(tl.sum((s1 - s2) * (s1 - s2), axis=1))


@triton.jit
def linf(s1, s2):
    gap = tl.abs(s1 - s2)
    broken = tl.sum((gap != gap).to(tl.int32), axis=1) > 0
    return tl.where(broken, float("nan"), tl.max(gap, axis=1))


@triton.jit
def lp(s1, s2, p):
    """(Σ |S₁ − S₂|ᵖ)^(1/p), relative to the largest gap so that no power leaves the range; powers in fp64."""
    largest = linf(s1, s2)
    gap = (tl.abs(s1 - s2) / largest[:, None]).to(tl.float64)
    power = tl.where(gap == 0, 0.0, tl.exp2(p * tl.log2(tl.where(gap == 0, 1.0, gap))))
    root = tl.exp2(tl.log2(tl.sum(power, axis=1)) / p).to(s1.dtype)
    return tl.where(largest == 0, 0.0, largest * root)


@triton.jit
def rec(s1, s2, sum1, sum2):
    """Σ min(S₁/ΣS₁, S₂/ΣS₂); 0 when one of them is a zero spectrum."""
    x = s1 / sum1[:, None]
    y = s2 / sum2[:, None]
    shared = tl.sum(tl.where((x < y) | (x != x), x, y), axis=1)
    return tl.where((sum1 == 0) | (sum2 == 0), 0.0 * (sum1 + sum2), shared)  # NaN of the other stays


@triton.jit
def normalised_entropy(s, total, rank):
    """−(1/log r) Σ p log p with p = s/Σs; NaN for a zero spectrum, 0 for one component."""
    share = s / total[:, None]
    terms = tl.where(share == 0, 0.0, share * tl.log(tl.where(share == 0, 1.0, share)))
    h = tl.sum(terms, axis=1)
    h = tl.where(rank == 1, 0.0 * h, -h / tl.log(tl.where(rank > 1, rank, 2.0)))
    return tl.where((total == 0) | (rank == 0), float("nan"), h + 0.0 * rank)  # no -0, and NaN of the rank


@triton.jit
def entropy(s1, sum1, rank):
    return normalised_entropy(s1, sum1, rank)


@triton.jit
def entropy_projected(s2, sum2, rank):
    return normalised_entropy(s2, sum2, rank)


@triton.jit
def defined(value, rank, tau_norm):
    """No source direction or no target: ratios of zeros are NaN."""
    return tl.where((rank == 0) | (tau_norm == 0), float("nan"), value)


@triton.jit
def cosine(inner, source_norm, tau_norm, rank):
    return defined(inner / (source_norm * tau_norm), rank, tau_norm)


@triton.jit
def energy(s2, tau_norm, rank):
    share = s2 / tau_norm[:, None]
    return defined(tl.sum(share * share, axis=1), rank, tau_norm)


@triton.jit
def residual(s2, d, tau_norm, rank):
    """‖U S₂ Vᴴ − τ₂‖_F / ‖τ₂‖_F, whose square is 1 − Σ S₂ (2 d − S₂) / ‖τ₂‖²."""
    x = s2 / tau_norm[:, None]
    y = d / tau_norm[:, None]
    square = 1.0 - tl.sum(x * (y + (y - x)), axis=1)
    return defined(square_root(tl.where(square < 0, 0.0, square)), rank, tau_norm)


@triton.jit
def excess(d, tau_norm, rank, size):
    share = d / tau_norm[:, None]
    return defined(tl.sum(share * share, axis=1) * size / rank, rank, tau_norm)


@triton.jit
def overlap(cross, rank, rank_target, tau_norm):
    smaller = tl.where((rank < rank_target) | (rank != rank), rank, rank_target)
    return defined(cross / smaller, rank, tau_norm)


@triton.jit
def overlap_u(cross_u, rank, rank_target, tau_norm):
    return overlap(cross_u, rank, rank_target, tau_norm)


@triton.jit
def overlap_v(cross_v, rank, rank_target, tau_norm):
    return overlap(cross_v, rank, rank_target, tau_norm)


@triton.jit
def captured(held, rank, tau_norm):
    return defined(held, rank, tau_norm)


@triton.jit
def captured_out(held_out, rank, tau_norm):
    return defined(held_out, rank, tau_norm)


@triton.jit
def captured_in(held_in, rank, tau_norm):
    return defined(held_in, rank, tau_norm)


@triton.jit
def share(NAME: tl.constexpr, held, held_out, held_in, rank, tau_norm):
    """The metric NAME of what of the target lies between the source's directions."""
    if NAME == "captured":
        value = captured(held, rank, tau_norm)
    elif NAME == "captured_out":
        value = captured_out(held_out, rank, tau_norm)
    elif NAME == "captured_in":
        value = captured_in(held_in, rank, tau_norm)
    else:
        tl.static_assert(False, "backend 'triton' has no function for the metric " + NAME)
    return value


@triton.jit
def rec_chance(mean):
    """Of REC − ½."""
    return mean + 0.5


@triton.jit
def rec_chance_sd(variance):
    return square_root(tl.where(variance < 0, 0.0, variance))


@triton.jit
def over_signs(NAME: tl.constexpr, mean, variance):
    """The metric NAME of REC over the sign patterns."""
    if NAME == "rec_chance":
        value = rec_chance(mean)
    elif NAME == "rec_chance_sd":
        value = rec_chance_sd(variance)
    else:
        tl.static_assert(False, "backend 'triton' has no function for the metric " + NAME)
    return value


@triton.jit
def spectral(NAME: tl.constexpr, s1, s2, sum1, sum2, rank, p):
    """The metric NAME of two spectra."""
    if NAME == "l1":
        value = l1(s1, s2)
    elif NAME == "l2":
        value = l2(s1, s2)
    elif NAME == "linf":
        value = linf(s1, s2)
    elif NAME == "lp":
        value = lp(s1, s2, p)
    elif NAME == "rec":
        value = rec(s1, s2, sum1, sum2)
    elif NAME == "entropy":
        value = entropy(s1, sum1, rank)
    elif NAME == "entropy_projected":
        value = entropy_projected(s2, sum2, rank)
    else:
        tl.static_assert(False, "backend 'triton' has no function for the metric " + NAME)
    return value


@triton.jit
def paired(
    NAME: tl.constexpr, s1, s2, d, sum1, sum2, source_norm, tau_norm, rank, rank_target, inner, cross_u,
    cross_v, size, p,
):  # fmt: skip
    """The metric NAME of a source and a target."""
    if NAME == "cosine":
        value = cosine(inner, source_norm, tau_norm, rank)
    elif NAME == "residual":
        value = residual(s2, d, tau_norm, rank)
    elif NAME == "energy":
        value = energy(s2, tau_norm, rank)
    elif NAME == "excess":
        value = excess(d, tau_norm, rank, size)
    elif NAME == "overlap_u":
        value = overlap_u(cross_u, rank, rank_target, tau_norm)
    elif NAME == "overlap_v":
        value = overlap_v(cross_v, rank, rank_target, tau_norm)
    else:
        value = spectral(NAME, s1, s2, sum1, sum2, rank, p)
    return value


@triton.constexpr_function
def word(names: str, index: int) -> str:
    """A kernel's constants may be strings, but not tuples of them."""
    return names.split()[index]
