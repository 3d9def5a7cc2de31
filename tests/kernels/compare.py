"""Comparators: results of the kernels against the oracle, within ``bounds``."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, Pairwise, reference
from taskvec_kernels.solver import Solver
from taskvec_kernels.types import Adapters

from . import bounds


def output_dtype(*inputs: Tensor) -> torch.dtype:
    return torch.float64 if any(t.dtype == torch.float64 for t in inputs) else torch.float32


def assert_within(name: str, got: Tensor, want: Tensor, bound: Tensor | float, skip: Tensor | None = None) -> None:
    """|got − want| ≤ bound elementwise and NaN in the same places, but where ``skip``."""
    assert got.shape == want.shape, f"{name}: shape {list(got.shape)}, expected {list(want.shape)}"
    got, want = got.double(), want.double()
    bound = torch.as_tensor(bound, dtype=torch.float64).expand(got.shape)
    keep = torch.ones_like(got, dtype=torch.bool) if skip is None else ~skip.expand(got.shape)
    got, want, bound = got[keep], want[keep], bound[keep]
    wrong = got.isnan() != want.isnan()
    assert not wrong.any(), f"{name}: NaN in {int(got.isnan().sum())} places, expected {int(want.isnan().sum())}"
    number = ~want.isnan()
    error, bound = (got - want).abs()[number], bound[number]
    assert not bound.isnan().any(), f"{name}: the bound is NaN"
    bad = ~(error <= bound)
    assert not bad.any(), (
        f"{name}: {int(bad.sum())} of {bad.numel()} beyond the bound, worst "
        f"{float((error / bound)[bad].max()):.3g} times it (error {float(error[bad].max()):.3g})"
    )


def assert_svd(
    out: LowRankSVD,
    b: Tensor,
    a: Tensor,
    scale: float | Tensor = 1.0,
    *,
    condition: float = 1.0,
    spectrum: bool = True,
) -> None:
    """``out`` is the thin SVD of scale · b · a; ``condition`` is the larger one of b and a.

    Without ``spectrum`` S is not compared with the oracle's: a dense SVD is slow, and a small error of τ implies it.
    """
    dtype, (m, r), n = output_dtype(b, a), b.shape[-2:], a.shape[-1]
    k = min(r, m, n)
    tau = reference.dense(b, a, scale)
    batch = tau.shape[:-2]
    assert (out.U.shape, out.S.shape, out.Vh.shape) == ((*batch, m, k), (*batch, k), (*batch, k, n))
    assert {t.dtype for t in out} == {dtype}
    assert out.U.mT.is_contiguous() and out.S.is_contiguous() and out.Vh.is_contiguous()
    U, S, Vh = (t.double() for t in out)
    assert (S >= 0).all() and (S.diff(dim=-1) <= 0).all(), f"S is not descending: {S}"
    live = torch.diag_embed((S > 0).double())
    orthogonality = bounds.orthogonality(dtype, r, condition)
    assert_within("UᵀU − I", U.mT @ U, live, orthogonality)
    assert_within("VᴴV − I", Vh @ Vh.mT, live, orthogonality)
    size = torch.linalg.matrix_norm(tau)
    error = torch.linalg.matrix_norm(tau - U * S[..., None, :] @ Vh)
    assert_within("τ − U S Vᴴ", error, 0 * size, bounds.reconstruction(dtype, r, condition) * size)
    if spectrum:
        want = reference.lowrank_svd(b, a, scale).S
        assert_within("S", S, want, (bounds.singular_values(dtype, r, condition) * size)[..., None])


def assert_pairs(
    out: Pairwise,
    x: LowRankSVD,
    y: LowRankSVD | None = None,
    *,
    p: float | None = None,
    precision: str = "highest",
    eps: float | None = None,
    lam: float | list[float] = 0.0,
    norm: str = "frobenius",
) -> None:
    """Every metric and spectrum in ``out`` against the oracle fed the same inputs; several λ's one by one.

    ``eps`` stands in place of the CPU's ε.
    """
    eps = bounds.projection(output_dtype(*x), precision) if eps is None else eps
    assert (out.backward is None) == (y is None)
    for i, one in enumerate(lam if isinstance(lam, list) else [lam]):
        for way, got, source, target in (
            ("forward", out.forward, x, x if y is None else y),
            ("backward", out.backward, y, x),
        ):
            if got is None or source is None:
                continue
            if isinstance(lam, list):
                got = {name: t if name == "d" else t[i] for name, t in got.items()}
            assert_one_way(f"λ {one:g} {way}", got, source, target, p, eps, one, norm)


def assert_one_way(
    way: str,
    got: dict[str, Tensor],
    source: LowRankSVD,
    target: LowRankSVD,
    p: float | None,
    eps: float,
    lam: float = 0.0,
    norm: str = "frobenius",
) -> None:
    assert got, f"{way} holds nothing"
    dtype = output_dtype(*source, *target)
    names = set(bounds.METRICS) - {"entropy"} - ({"lp"} if p is None else set())
    sides = Adapters(*source), Adapters(*target)
    want = reference.one_way(*sides, sorted(names), True, p, Solver(lam, norm=norm))
    want = {name: t if name == "d" else t[0] for name, t in want.items()}
    context = pair_bounds(source, target, want, dtype, p, eps, lam, norm)
    for name, values in got.items():
        assert values.dtype == dtype and values.is_contiguous(), f"{way} {name}: {values.dtype}"
        if name == "residual":
            squares = values.double().square(), want[name].square()
            assert_within(f"{way} residual²", *squares, bounds.residual_squared(context))
        elif name in ("d", "spectra"):
            assert_within(f"{way} {name}", values, want[name], getattr(bounds, name)(context))
            moved = (values.double() - want[name]).norm(dim=-1)
            assert_within(f"{way} ‖δ{name}‖", moved, 0 * moved, context.eta_d if name == "d" else context.eta)
        else:
            skip = context.noise if name == "entropy_projected" else None
            assert_within(f"{way} {name}", values, want[name], bounds.METRICS[name](context), skip)


def pair_bounds(
    source: LowRankSVD,
    target: LowRankSVD,
    want: dict[str, Tensor],
    dtype: torch.dtype,
    p: float | None,
    eps: float,
    lam: float = 0.0,
    norm: str = "frobenius",
) -> bounds.Pairs:
    s1, s_target = source.S.double(), target.S.double()
    tau_norm = s_target.norm(dim=-1)[..., None, :].expand(want["l1"].shape)
    eta = eta_d = eps * tau_norm
    d, s2, lacking, u = want["d"], want["spectra"], defect(target)[..., None, :], bounds.unit(dtype)
    shift, moved, gap = torch.zeros_like(eta), None, torch.zeros_like(eta)
    if lam:
        full = length(target)[..., None, :].expand(eta.shape)  # ‖τ‖ as the oracle takes it
        change = 4 * 2.0**-53 * full
        shift = torch.full_like(eta, lam / 2)
        if norm == "frobenius":
            square = bounds.projected_square(eps, lacking) + bounds.sparse_square(d.shape[-1])
            c = bounds.Sparse(d, full, torch.full_like(eta, lam), s2, u, square * full.square())
            change = change + bounds.threshold(c)
            shift = lam * (c.c2 + (s2 - d).square().sum(-1)).sqrt()
        # ‖δS₂‖ ≤ ‖δd‖ + √live · λ |δf*|, and never more than all that S₂ can be
        live = (d - shift[..., None] > -(change + eta)[..., None]).sum(-1)
        most = d.clamp(min=0).norm(dim=-1) + eta
        eta = torch.minimum(eta + live.double().sqrt() * change, most) + u * s2.norm(dim=-1)
        moved, gap = (torch.where(full > 0, t / full, 0.0) for t in (eta, (s2 - d).norm(dim=-1)))
    return bounds.Pairs(
        u=bounds.unit(dtype),
        eps=eps,
        eta=eta,
        k=s1.shape[-1],
        value=want,
        s1=s1[..., :, None, :],
        s2=s2,
        d=d - shift[..., None],
        eta_d=eta_d,
        moved=moved,
        gap=gap,
        rank_source=(s1 > 0).sum(-1).double()[..., :, None],
        rank_target=(s_target > 0).sum(-1).double()[..., None, :],
        defect=lacking,
        source_defect=defect(source)[..., :, None],
        skew_u=skew(target.U.mT, s_target)[..., None, :],
        skew_v=skew(target.Vh, s_target)[..., None, :],
        size=source.U.shape[-2] * source.Vh.shape[-1],
        p=p or 1.0,
    )


def length(svd: LowRankSVD) -> Tensor:
    """‖U S Vᴴ‖_F of directions that need not be orthonormal."""
    U, S, Vh = (t.double() for t in svd)
    square = torch.einsum("...k,...l,...kl,...kl->...", S, S, U.mT @ U, Vh @ Vh.mT)
    return square.clamp(min=0).sqrt()


def defect(svd: LowRankSVD) -> Tensor:
    """|‖U S Vᴴ‖_F / ‖S‖₂ − 1|: rounding of U and V makes them not quite orthonormal."""
    return (length(svd) / svd.S.double().norm(dim=-1) - 1).abs().nan_to_num(0.0)


def skew(directions: Tensor, s: Tensor) -> Tensor:
    """‖DDᵀ − I‖₂ of the directions (..., k, length) whose S is not zero."""
    live = (s > 0).double()
    off = directions.double() @ directions.double().mT - torch.eye(s.shape[-1], dtype=torch.float64)
    return torch.linalg.matrix_norm((off * live[..., :, None] * live[..., None, :]).nan_to_num(), 2)


def assert_spectra(got: dict[str, Tensor], s1: Tensor, s2: Tensor, *, p: float | None = None) -> None:
    """``compare_spectra`` against the oracle: the spectra are given, so that only rounding remains."""
    dtype = output_dtype(s1, s2)
    want = reference.compare_spectra(s1, s2, metrics=list(got), p=p)
    a, b = torch.broadcast_tensors(s1.double(), s2.double())
    zero = torch.zeros(a.shape[:-1], dtype=torch.float64)
    context = bounds.Pairs(u=bounds.unit(dtype), eps=0.0, eta=zero, k=a.shape[-1], value=want, s1=a, s2=b, p=p or 1.0)
    for name, values in got.items():
        assert values.dtype == dtype
        assert_within(name, values, want[name], bounds.METRICS[name](context))


def sparse_case(
    d: Tensor, tau_norm: Tensor, lam: float | Tensor, norm: str = "frobenius"
) -> tuple[bounds.Sparse, Tensor]:
    """The oracle's solution as the bounds take it, and its objective."""
    want, info = reference.sparsify(d, tau_norm, lam, norm=norm, return_info=True)
    batch = want.shape[:-1]
    full, weight = tau_norm.double().expand(batch), torch.as_tensor(lam, dtype=torch.float64).expand(batch)
    square = bounds.sparse_square(d.shape[-1]) * full.square()
    u = bounds.unit(output_dtype(d, tau_norm))
    return bounds.Sparse(d.double().expand(want.shape), full, weight, want, u, square), info.objective


def assert_sparse(
    got: Tensor,
    objective: Tensor,
    d: Tensor,
    tau_norm: Tensor,
    lam: float | Tensor,
    norm: str = "frobenius",
) -> None:
    """S and the objective against the oracle, and the objective of this very S against the optimum."""
    c, best = sparse_case(d, tau_norm, lam, norm)
    s_bound, value_bound = (
        (bounds.sparse(c), bounds.sparse_objective(c, best))
        if norm == "frobenius"
        else (bounds.soft(c), bounds.soft_objective(c, best))
    )
    assert got.dtype == objective.dtype == output_dtype(d, tau_norm)
    assert_within("S", got, c.s, s_bound)
    assert_within("objective", objective, best, value_bound)
    actual = reference.objective(got.double(), c.d, c.tau_norm, c.lam, norm)
    # rounding S to the result moves the objective by at most (1 + λ √k) u ‖S‖, or 2 ‖S − d‖ + λ √k with the square
    steep = 1.0 if norm == "frobenius" else 2 * (c.s - c.d).norm(dim=-1) + c.u * c.s.norm(dim=-1)
    rounded = (steep + c.lam * math.sqrt(d.shape[-1])) * c.u * c.s.norm(dim=-1)
    assert_within("objective of S", actual, best, 2 * value_bound + rounded)


def assert_same_bits(got: object, want: object) -> None:
    """Equal to the last bit, NaN equal to NaN; dicts, tuples and tensors."""
    if isinstance(got, Tensor) and isinstance(want, Tensor):
        assert got.dtype == want.dtype and got.shape == want.shape
        assert torch.equal(got.isnan(), want.isnan()), "NaN in different places"
        assert torch.equal(got.nan_to_num(), want.nan_to_num()), (
            f"bits differ by up to {float((got - want).abs().nan_to_num().max())}"
        )
    elif isinstance(got, dict) and isinstance(want, dict):
        assert got.keys() == want.keys()
        for name in got:
            assert_same_bits(got[name], want[name])
    elif isinstance(got, (tuple, list)) and isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for one, other in zip(got, want, strict=True):
            assert_same_bits(one, other)
    else:
        assert got is None and want is None, f"cannot compare {type(got).__name__} with {type(want).__name__}"
