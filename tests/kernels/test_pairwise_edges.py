"""``pairwise`` of zero adapters, of NaN, and of adapters whose results are known."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from taskvec_kernels import LowRankSVD, lowrank_svd, pairwise

from . import bounds
from .cases import ALL_PAIRWISE, DTYPES, by_direction, factors, joined, name_of, orthonormal, padded, pick, zoo
from .compare import assert_pairs, assert_same_bits, assert_within

UNDEFINED = ("cosine", "energy", "excess", "residual", "overlap_u", "overlap_v", "entropy_projected",
             "captured", "captured_out", "captured_in")  # fmt: skip


def zero_adapter(m: int, n: int, k: int) -> LowRankSVD:
    return lowrank_svd(torch.zeros(1, m, k), torch.ones(1, k, n))


@pytest.mark.parametrize("where", [0, 3, 8])
def test_a_zero_adapter(where: int) -> None:
    """rec 0, ratios NaN, in both directions; the others do not notice."""
    x = zoo(8, 9, 10, 4)
    both = pick(joined(x, zero_adapter(9, 10, 4)), [*range(where), 8, *range(where, 8)])
    out = pairwise(both, metrics=ALL_PAIRWISE, spectra=True, p=3.0)
    assert_pairs(out, both, p=3.0)
    for way in (out.forward["rec"][where], out.forward["rec"][:, where]):
        assert (way == 0).all()
    for name in UNDEFINED:
        assert out.forward[name][where].isnan().all() and out.forward[name][:, where].isnan().all()
    assert not out.forward["d"][where].any() and not out.forward["d"][:, where].any()
    others = [i for i in range(9) if i != where]
    alone = pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=3.0)
    assert_same_bits({name: values[others][:, others] for name, values in out.forward.items()}, alone.forward)


def test_zero_against_zero() -> None:
    x, y = zero_adapter(5, 4, 3), zero_adapter(5, 4, 2)
    out = pairwise(x, y, metrics=ALL_PAIRWISE, spectra=True, p=3.0)
    assert_pairs(out, x, y, p=3.0)
    assert out.forward["rec"].item() == 0 and out.forward["l1"].item() == 0


@pytest.mark.parametrize("part", ["U", "S", "Vh"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_not_finite_spoils_its_own_pairs_alone(part: str, bad: float, backend: str) -> None:
    x = zoo(20, 9, 10, 4)
    good = pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=3.0, backend=backend).forward
    getattr(x, part)[7][..., 1] = bad
    out = pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=3.0, backend=backend).forward
    others = [i for i in range(20) if i != 7]
    for name, values in out.items():
        assert_same_bits(values[others][:, others], good[name][others][:, others])
    assert not out["d"][others, 7].isfinite().any()
    if math.isnan(bad):
        for name in ("l1", "l2", "linf", "lp", "rec", "cosine"):
            assert out[name][others, 7].isnan().all() and out[name][7, others].isnan().all(), name
        for name in ("residual", "energy", "captured"):
            assert out[name][others, 7].isnan().all(), name
        for name in ("entropy_projected", "excess"):
            assert out[name][others, 7].isnan().all() and out[name][7, others].isnan().all(), name
        for name in ("overlap_u", "overlap_v"):  # r is not known of an S with NaN
            wanted = part == "S" or part == {"overlap_u": "U", "overlap_v": "Vh"}[name]
            assert (out[name][others, 7].isnan() == wanted).all() and (out[name][7, others].isnan() == wanted).all()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_nan_beside_a_zero_spectrum(backend: str) -> None:
    """REC of a zero spectrum is 0, but not where the other is NaN; with λ, S₂ may be zero whatever S₁ is."""
    x = zoo(4, 9, 10, 4)
    x.S[1, 2] = math.nan
    out = pairwise(x, metrics=ALL_PAIRWISE, p=3.0, lam=2.0, backend=backend).forward
    assert (out["rec"][0, [2, 3]] == 0).all() and out["rec"][1].isnan().all() and out["rec"][:, 1].isnan().all()


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_an_adapter_and_itself(dtype: torch.dtype) -> None:
    """On itself a task vector is all there: REC, cosine, energy and overlaps 1."""
    x = zoo(6, 30, 20, 5, dtype=dtype)
    out = pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=3.0)
    assert_pairs(out, x, p=3.0)
    rounded = 2e-2 if dtype in (torch.float16, torch.bfloat16) else 1e-5
    for name in ("rec", "cosine", "energy", "overlap_u", "overlap_v", "captured", "captured_out", "captured_in"):
        assert (out.forward[name].diagonal() - 1).abs().max() < rounded, name


def test_adapters_that_share_nothing() -> None:
    """Orthogonal ranges: nothing is held, and nothing overlaps."""
    U, V = orthonormal(12, 8), orthonormal(10, 8, seed=1)
    S = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    x = LowRankSVD(by_direction(U[None, :, :4].float()), S, V.mT[None, :4].float().contiguous())
    y = LowRankSVD(by_direction(U[None, :, 4:].float()), S, V.mT[None, 4:].float().contiguous())
    shared = ["cosine", "energy", "overlap_u", "overlap_v", "captured", "captured_out", "captured_in"]
    out = pairwise(x, y, metrics=[*shared, "residual"])
    assert_pairs(out, x, y)
    assert max(out.forward[name].abs().max() for name in shared) < 1e-6
    assert abs(out.forward["residual"].item() - 1) < 1e-6


def test_a_part_is_captured_by_the_sum_and_not_the_other_way() -> None:
    """τ_C = τ_A + τ_B with disjoint output sides: REC says that C is in A, the captured share that A is in C."""
    b, a = factors(30, 40, 4, batch=(2,))
    whole = torch.cat([*b], -1)[None], torch.cat([*a])[None]
    part, both = lowrank_svd(b[:1], a[:1]), lowrank_svd(*whole)
    out = pairwise(part, both, metrics=["captured", "captured_out", "captured_in", "energy"])
    assert_pairs(out, part, both)
    there, back = out.forward, out.backward
    assert back is not None
    assert abs(back["captured"].item() - 1) < 1e-5 and there["captured"].item() < 0.9
    for way in (there, back):
        sides = torch.minimum(way["captured_out"], way["captured_in"])
        assert way["energy"] <= way["captured"] + 1e-6 and way["captured"] <= sides + 1e-6


def test_captured_does_not_know_the_basis_of_a_subspace() -> None:
    """Rotations inside the source's two subspaces move REC and change no share."""
    x, y = zoo(1, 20, 18, 4, dtype=torch.float64), zoo(1, 20, 18, 3, dtype=torch.float64, seed=7)
    turn_u, turn_v = orthonormal(4, 4, seed=2), orthonormal(4, 4, seed=3)
    turned = LowRankSVD(by_direction(x.U @ turn_u), x.S, turn_v.mT @ x.Vh)
    names = ["captured", "captured_out", "captured_in"]
    one, other = (pairwise(z, y, metrics=names).forward for z in (x, turned))
    for name in names:
        torch.testing.assert_close(one[name], other[name], rtol=1e-12, atol=1e-14)


def test_a_negated_adapter_is_clipped_away() -> None:
    """τ and −τ: d = −S, S₂ = 0, so REC 0 and the entropy of nothing."""
    x = zoo(1, 9, 10, 4)
    both = joined(x, x._replace(U=by_direction(-x.U)))
    out = pairwise(both, metrics=ALL_PAIRWISE, spectra=True, p=3.0)
    assert_pairs(out, both, p=3.0)
    assert out.forward["rec"][0, 1] == 0 and out.forward["entropy_projected"][0, 1].isnan()
    assert not out.forward["spectra"][0, 1].any()


@pytest.mark.parametrize("length", [100, 500, 511, 1000, 2000, 3000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_constant_directions(length: int, dtype: torch.dtype) -> None:
    """All products alike: rounding errors add up, and only the bound for any input holds."""
    x = lowrank_svd(torch.ones(1, length, 1, dtype=dtype), torch.ones(1, 1, length, dtype=dtype))
    u, v, s = x.U[0, 0, 0], x.Vh[0, 0, 0], x.S[0, 0]
    assert (x.U == u).all() and (x.Vh == v).all()
    exact = float(length**2 * Fraction(u.item()) ** 2 * Fraction(v.item()) ** 2 * Fraction(s.item()))
    got = pairwise(x, spectra=True).forward["d"].flatten()
    assert_within("d", got, torch.tensor([exact]).double(), bounds.aligned_projection(dtype, length) * float(s))


def test_ratios_count_non_zero_directions() -> None:
    """Padding with zero directions changes no metric: r is the number of non-zero S."""
    x = zoo(9, 12, 10, 3)
    wide, narrow = (pairwise(z, metrics=ALL_PAIRWISE, p=3.0) for z in (padded(x, 7), x))
    assert_same_bits(wide.forward, narrow.forward)


def test_entropy_of_one_component_is_zero() -> None:
    x = zoo(4, 6, 5, 1)
    out = pairwise(x, metrics=["entropy_projected"], spectra=True)
    held = out.forward["spectra"][..., 0] > 0
    assert (out.forward["entropy_projected"][held] == 0).all() and out.forward["entropy_projected"][~held].isnan().all()
