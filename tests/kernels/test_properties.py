"""The algebra, on whatever hypothesis finds."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor

from taskvec_kernels import LowRankSVD, compare_spectra, lowrank_svd, pairwise, project, project_dense, reference

from . import bounds
from .compare import assert_pairs, assert_same_bits, assert_svd, assert_within

pytestmark = pytest.mark.slow

settings.register_profile(
    "kernels",
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("kernels")

SIZES = st.integers(1, 6)
# small multiples of 1/4: every product of them is exact, and singular and repeated matrices are common
QUARTERS = st.integers(-12, 12).map(lambda i: i / 4)


@st.composite
def matrices(draw: st.DrawFn, *shape: int) -> Tensor:
    return torch.from_numpy(draw(arrays.arrays("float32", shape, elements=QUARTERS)))


@st.composite
def pairs_of_factors(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    m, n, r = draw(SIZES), draw(SIZES), draw(SIZES)
    return draw(matrices(m, r)), draw(matrices(r, n))


@st.composite
def zoos(draw: st.DrawFn) -> LowRankSVD:
    adapters, m, n, r = draw(SIZES), draw(SIZES), draw(SIZES), draw(SIZES)
    return lowrank_svd(draw(matrices(adapters, m, r)), draw(matrices(adapters, r, n)))


@given(pairs_of_factors())
def test_factorisation(factors: tuple[Tensor, Tensor]) -> None:
    b, a = factors
    out = lowrank_svd(b, a)
    assert_svd(out, b, a)
    assert int((out.S > 0).sum()) == int(torch.linalg.matrix_rank(b.double() @ a.double()))


@given(pairs_of_factors(), st.sampled_from([-4.0, -1.0, 0.5, 8.0]))
def test_scale_is_exact(factors: tuple[Tensor, Tensor], scale: float) -> None:
    one, scaled = lowrank_svd(*factors), lowrank_svd(*factors, scale)
    assert_same_bits(scaled.S, abs(scale) * one.S)
    assert_same_bits(scaled.Vh, one.Vh)
    assert torch.equal(scaled.U, one.U if scale > 0 else -one.U)


@given(zoos())
def test_pairs(x: LowRankSVD) -> None:
    assert_pairs(pairwise(x, metrics=list(bounds_names()), spectra=True, p=3.0), x, p=3.0)


def bounds_names() -> tuple[str, ...]:
    return tuple(name for name in bounds.METRICS if name != "entropy")


@given(zoos())
def test_ranges_and_relations(x: LowRankSVD) -> None:
    out = pairwise(x, metrics=list(bounds_names()), spectra=True, p=3.0).forward
    small = 1e-5
    shares = ("energy", "captured", "captured_out", "captured_in")
    for name in ("rec", "residual", "overlap_u", "overlap_v", "entropy_projected", *shares):
        values = out[name][~out[name].isnan()]
        assert ((values >= 0) & (values <= 1 + small)).all(), name
    assert ((out["cosine"].abs() <= 1 + small) | out["cosine"].isnan()).all()
    for name in ("cosine", "overlap_u", "overlap_v"):
        assert torch.allclose(out[name], out[name].mT, atol=small, equal_nan=True), name
    held = ~out["energy"].isnan()
    for less, more in (("energy", "captured"), ("captured", "captured_out"), ("captured", "captured_in")):
        assert (out[less] <= out[more] + small)[held].all(), (less, more)
    assert ((out["residual"].square() + out["energy"])[held] - 1).abs().le(small).all()
    assert (out["linf"] <= out["l2"] * (1 + small)).all() and (out["l2"] <= out["l1"] * (1 + small)).all()
    assert (out["spectra"] == out["d"].clamp(min=0)).all()
    assert torch.allclose(out["d"].diagonal(dim1=0, dim2=1).mT, x.S, atol=small * float(x.S.max() + 1))


@given(pairs_of_factors(), st.data())
def test_projection_is_the_minimiser(factors: tuple[Tensor, Tensor], data: st.DataObject) -> None:
    """No other non-negative diagonal comes nearer to τ₂ in the source's directions."""
    b, a = factors
    m, n = b.shape[0], a.shape[1]
    U, _, Vh = lowrank_svd(b, a)
    tau = data.draw(matrices(m, n))
    best = project_dense(U, Vh, tau)
    other = data.draw(matrices(best.shape[0])).abs()

    def distance(s: Tensor) -> float:
        return float(torch.linalg.matrix_norm(U.double() * s.double() @ Vh.double() - tau.double()))

    assert distance(best) <= distance(other) + 1e-5 * (1 + float(tau.norm()) + float(other.norm()))


@given(pairs_of_factors(), st.data())
def test_factors_and_dense_project_alike(factors: tuple[Tensor, Tensor], data: st.DataObject) -> None:
    b, a = factors
    U, _, Vh = lowrank_svd(*(data.draw(matrices(*t.shape)) for t in (b, a)))
    one, other = project(U, Vh, b, a, 0.5, clip=False), project_dense(U, Vh, 0.5 * (b @ a), clip=False)
    bound = 2 * bounds.project(torch.float32, U, Vh, b, a, 0.5)
    assert_within("project", one, other, bound)
    assert_same_bits(project(U, Vh, b, a, 0.5), one.clamp(min=0))


@given(zoos(), st.sampled_from([0.25, 2.0, 64.0]))
def test_size_of_the_targets(x: LowRankSVD, factor: float) -> None:
    """c τ₂ gives c S₂, and the same REC, cosine, energy and excess."""
    names = ["rec", "cosine", "energy", "excess"]
    one, other = (pairwise(x, x._replace(S=x.S * c), metrics=names, spectra=True) for c in (1, factor))
    assert_same_bits(other.forward["spectra"], one.forward["spectra"] * factor)
    for name in names:
        assert torch.allclose(one.forward[name], other.forward[name], rtol=1e-5, atol=1e-6, equal_nan=True), name


@given(st.integers(1, 9).flatmap(lambda k: st.tuples(matrices(4, k), matrices(4, k))))
def test_rec_is_half_of_l1(spectra: tuple[Tensor, Tensor]) -> None:
    """REC = 1 − ½ L₁ of the normalised spectra, and does not know which one is first."""
    s1, s2 = (s.abs() + 0.25 for s in spectra)
    rec = compare_spectra(s1, s2, metrics=["rec"])["rec"]
    shares = [s / s.sum(-1, keepdim=True) for s in (s1, s2)]
    assert torch.allclose(rec, 1 - compare_spectra(*shares, metrics=["l1"])["l1"] / 2, atol=1e-5)
    assert torch.allclose(rec, compare_spectra(s2, s1, metrics=["rec"])["rec"], atol=1e-6)
    want = reference.compare_spectra(s1, s2, metrics=["rec"])["rec"]
    assert torch.allclose(rec.double(), want, atol=1e-6)
