"""Step 3 for a block of pairs, [pairs, k]: exact, or as Adam goes. docs/METHOD.md §3, reference.py."""

from __future__ import annotations

import math

import triton
import triton.language as tl

from ...seeding import FACTORS, GOLDEN, SHIFTS

GOLDEN_RATIO = tl.constexpr(GOLDEN)
FIRST, SECOND, THIRD = (tl.constexpr(shift) for shift in SHIFTS)
ONE, OTHER = (tl.constexpr(factor) for factor in FACTORS)
TURN = tl.constexpr(2 * math.pi)
TERMS = tl.constexpr(11)  # of the sine: the next one is below 1e-18
LOG_TERMS, LOG_TERMS_F64 = tl.constexpr(7), tl.constexpr(16)  # of log(1 + y): the next is below 1e-9, 1e-17
LEAST, MOST = tl.constexpr(2.0**-10), tl.constexpr(2.0**40)  # of ‖τ‖, as in reference/positive.py


@triton.jit
def mix(z):
    """The step of splitmix64, in uint64."""
    z += GOLDEN_RATIO
    z = (z ^ (z >> FIRST)) * ONE
    z = (z ^ (z >> SECOND)) * OTHER
    return z ^ (z >> THIRD)


@triton.jit
def pair_seed(source, target):
    return mix(mix(source.to(tl.uint64)) + target.to(tl.uint64))


@triton.jit
def normal(seed, place):
    """Draw number ``place`` of N(0, 1), by Box and Muller, in fp64; the cosine as a sine on a quarter turn."""
    bits = mix(mix(seed) + place.to(tl.uint64))
    u = ((bits >> 32).to(tl.float64) + 1.0) * (1.0 / 4294967296.0)
    v = (bits & 0xFFFFFFFF).to(tl.float64) * (1.0 / 4294967296.0)
    x = (tl.abs(v - 0.5) - 0.25) * TURN  # cos(2 π v) = sin(x), |x| ≤ π/2
    square = x * x
    series = tl.full(x.shape, 1.0, tl.float64)
    for n in tl.static_range(TERMS):
        series = 1.0 - square * series / (2 * (TERMS - n) * (2 * (TERMS - n) + 1))
    return tl.sqrt(-2.0 * tl.log(u)) * x * series


@triton.jit
def clip(x):
    return tl.where(x < 0, 0.0, x)  # NaN stays


@triton.jit
def inverse(s, POSITIVE: tl.constexpr):
    """The x of which S = s is made, in fp64."""
    if POSITIVE == "exp":
        return tl.log(s)
    elif POSITIVE == "softplus":
        above = tl.exp(tl.minimum(s, 40.0))
        less_one = tl.where(above == 1.0, s, (above - 1.0) * s / tl.log(above))  # e^s − 1, of small s too
        return tl.where(s > 40.0, s, tl.log(less_one))
    else:
        return s


@triton.jit
def mapped(x, POSITIVE: tl.constexpr):
    """g(x), which S is made of, and its derivative."""
    if POSITIVE == "exp":
        value = tl.exp(x)
        return value, value
    elif POSITIVE == "softplus":
        small = tl.exp(-tl.abs(x))
        # log(1 + small) as a series: a GPU's logarithm in fp32 is not accurate near 1
        share = small / (2.0 + small)
        square = share * share
        terms: tl.constexpr = LOG_TERMS_F64 if x.dtype == tl.float64 else LOG_TERMS
        series = tl.full(x.shape, 1.0 / (2 * terms + 1), x.dtype)
        for n in tl.static_range(terms):
            series = series * square + 1.0 / (2 * (terms - n) - 1)
        value = tl.where(x < 0, 0.0, x) + 2.0 * share * series
        return value, tl.where(x < 0, small, 1.0) / (1.0 + small)
    else:
        one = tl.full(x.shape, 1.0, x.dtype)
        return tl.abs(x), tl.where(x < 0, -one, tl.where(x == 0, 0.0, one))


@triton.jit
def exact(d, tau_norm, lam, SQUARED: tl.constexpr):
    """max(0, d − λ f*) by Newton's method on growing active sets, in fp64; f(S) and the number of active sets."""
    wide = d.to(tl.float64)
    norm = tau_norm.to(tl.float64)
    squares = wide * wide
    total = tl.sum(squares, axis=1)
    c2 = clip(norm * norm - total)
    above = tl.where(wide > 0, squares, 0.0)
    rest = c2 + tl.sum(tl.where(wide > 0, 0.0, squares), axis=1)
    steps = tl.zeros(norm.shape, tl.int64)
    threshold = 0.5 * lam
    if not SQUARED:
        x = c2 + total
        active = tl.zeros(norm.shape, tl.float64)
        going = 1
        while going > 0:
            inside = above > (lam * lam * x)[:, None]
            count = tl.sum(inside.to(tl.float64), axis=1)
            slope = 1.0 - lam * lam * count
            grown = (count > active) & (slope > 0)
            x = tl.where(grown, (rest + tl.sum(tl.where(inside, 0.0, above), axis=1)) / slope, x)
            active = tl.where(grown, count, active)
            steps += grown.to(tl.int64)
            going = tl.max(grown.to(tl.int32), axis=0)
        room = lam * lam * tl.sum((wide > 0).to(tl.float64), axis=1)
        x = tl.where((rest == 0) & (room <= 1), 0.0, x)
        threshold = lam * tl.sqrt(x)
    threshold = tl.where(lam == 0, 0.0, threshold)
    s = clip(wide - threshold[:, None])
    square = c2 + tl.sum((s - wide) * (s - wide), axis=1)
    loss = square if SQUARED else tl.sqrt(square)
    return s.to(d.dtype), loss + lam * tl.sum(s, axis=1), steps


@triton.jit
def adam(
    d, tau_norm, lam, seed, live, steps, SQUARED: tl.constexpr, POSITIVE: tl.constexpr, START: tl.constexpr,
    RELATIVE: tl.constexpr, DECAY: tl.constexpr, LR: tl.constexpr, TOL: tl.constexpr, BETA1: tl.constexpr,
    BETA2: tl.constexpr, EPS: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """Algorithm 1 with torch.optim.Adam's step on x, of which S ≥ 0 is made; S, f(S), steps and convergence.

    ``live``: real directions. With POSITIVE "clip" x is s.
    """
    dtype = d.dtype
    norm = tau_norm.to(tl.float64)
    scale = tl.where(norm == 0, 1.0, norm)
    unit = norm / scale if RELATIVE else 1.0 / scale  # of lr and start, in units of scale
    wide = d.to(tl.float64) / scale[:, None]
    c2 = clip((norm / scale) * (norm / scale) - tl.sum(wide * wide, axis=1)).to(dtype)
    w = wide.to(dtype)
    weight = lam.to(dtype)
    if POSITIVE == "clip":
        rate = (LR * unit).to(dtype)
        if START == "normal":
            s = clip(unit[:, None] * normal(seed[:, None], tl.arange(0, K)[None, :])).to(dtype)
            s = tl.where(live, s, 0.0)
        elif START == "zeros":
            s = tl.zeros_like(w)
        else:
            s = clip(w)
    else:
        rate = tl.full(unit.shape, LR, dtype)
        share = tl.full(unit.shape, 1.0, tl.float64) if RELATIVE else scale  # ‖τ‖ in units of g(x)
        most = inverse(share * MOST, POSITIVE).to(dtype)
        if START == "normal":
            x = normal(seed[:, None], tl.arange(0, K)[None, :]).to(dtype)
        elif START == "zeros":
            x = tl.zeros_like(w)
        else:
            raised = wide
            if POSITIVE != "abs":
                raised = tl.where(wide < LEAST, LEAST, wide)
            x = inverse(clip(raised) * share[:, None], POSITIVE).to(dtype)
        x = tl.where(x > most[:, None], most[:, None], x)
        value, slope_of_s = mapped(x, POSITIVE)
        s = tl.where(live, unit.to(dtype)[:, None] * value, 0.0)
    slope = (2.0 * scale).to(dtype)
    tol = (TOL * (tl.full(scale.shape, 1.0, tl.float64) if RELATIVE else 1.0 / scale)).to(dtype)
    mean = tl.zeros_like(w)
    variance = tl.zeros_like(w)
    last = tl.full(norm.shape, float("inf"), dtype)
    open_ = tl.full(norm.shape, 1, tl.int32)
    converged = tl.zeros(norm.shape, tl.int32)
    taken = tl.zeros(norm.shape, tl.int64)
    power1 = tl.full((), 1.0, tl.float64)
    power2 = tl.full((), 1.0, tl.float64)
    step = 0
    while step < steps:
        gap2 = c2 + tl.sum((s - w) * (s - w), axis=1)
        distance = tl.sqrt(gap2)
        if TOL > 0:
            loss = (0.5 * slope * gap2 if SQUARED else distance) + weight * tl.sum(s, axis=1)
            near = tl.abs(loss - last) <= tol
            converged = tl.where((open_ > 0) & near, 1, converged)
            open_ = tl.where(near | (loss != loss), 0, open_)
            last = loss
        power1 *= BETA1
        power2 *= BETA2
        left = 1.0 - (tl.full((), 0.0, tl.float64) + step) / steps if DECAY else 1.0
        pace = tl.where(open_ > 0, rate * (left / (1.0 - power1)).to(dtype), 0.0)
        root2 = (1.0 / tl.sqrt(1.0 - power2)).to(dtype)
        per_gap = slope if SQUARED else tl.where(distance == 0, 0.0, 1.0 / distance)
        gradient = (s - w) * per_gap[:, None] + weight[:, None]
        if POSITIVE != "clip":
            gradient *= slope_of_s
        mean += (1.0 - BETA1) * (gradient - mean)
        variance = BETA2 * variance + (1.0 - BETA2) * gradient * gradient
        move = pace[:, None] * mean / (tl.sqrt(variance) * root2 + EPS)
        if POSITIVE == "clip":
            s = tl.where(live, clip(s - move), 0.0)
        else:
            x = tl.where(x - move > most[:, None], most[:, None], x - move)
            value, slope_of_s = mapped(x, POSITIVE)
            s = tl.where(live, unit.to(dtype)[:, None] * value, 0.0)
        taken += (open_ > 0).to(tl.int64)
        step = tl.where(tl.max(open_, axis=0) > 0, step + 1, steps)
    gap2 = c2 + tl.sum((s - w) * (s - w), axis=1)
    loss = (0.5 * slope * gap2 if SQUARED else tl.sqrt(gap2)) + weight * tl.sum(s, axis=1)
    if TOL > 0:
        converged = tl.where((open_ > 0) & (tl.abs(loss - last) <= tol), 1, converged)
    s = tl.where((loss != loss)[:, None], loss[:, None], s * scale[:, None].to(dtype))
    return s, loss.to(tl.float64) * scale, taken, converged
