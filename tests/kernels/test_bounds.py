"""The comparators and the poison can fail: each is shown a result that is just wrong enough."""

from __future__ import annotations

import pytest
import torch

from taskvec_kernels import compare_spectra, lowrank_svd, pairwise, sparsify
from taskvec_kernels.backends import cpu as native

from . import bounds
from .cases import ALL_PAIRWISE, by_direction, factors, zoo
from .compare import (
    assert_pairs,
    assert_same_bits,
    assert_sparse,
    assert_spectra,
    assert_svd,
    assert_within,
    pair_bounds,
)


def test_within_is_tight() -> None:
    want = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert_within("value", want + 1e-3, want, 1.001e-3)
    with pytest.raises(AssertionError, match="beyond the bound"):
        assert_within("value", want + torch.tensor([0, 1e-3]), want, 0.999e-3)


@pytest.mark.parametrize(
    ("got", "want", "bound", "message"),
    [
        ([1.0], [1.0, 1.0], 1.0, "shape"),
        ([1.0, torch.nan], [1.0, 1.0], 1.0, "NaN"),
        ([1.0, 1.0], [1.0, torch.nan], 1.0, "NaN"),
        ([1.0, torch.inf], [1.0, 1.0], 1.0, "beyond"),
        ([1.0, 1.0], [1.0, 1.0], torch.nan, "bound is NaN"),
    ],
    ids=["shape", "lost", "found", "infinite", "bound"],
)
def test_within_refuses(got: list[float], want: list[float], bound: float, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_within("value", torch.tensor(got), torch.tensor(want), bound)


def test_within_skips_only_what_it_is_told() -> None:
    got, want = torch.tensor([1.0, 5.0]), torch.tensor([1.0, 1.0])
    assert_within("value", got, want, 0.0, skip=torch.tensor([False, True]))
    with pytest.raises(AssertionError):
        assert_within("value", got, want, 0.0, skip=torch.tensor([True, False]))


@pytest.mark.parametrize("part", ["U", "S", "Vh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_svd_refuses_what_is_off(part: str, dtype: torch.dtype) -> None:
    b, a = factors(12, 10, 4, dtype=dtype)
    out = lowrank_svd(b, a)
    off = 2e-5 if dtype == torch.float32 else 1e-13
    wrong = getattr(out, part) * (1 + off)
    wrong = by_direction(wrong) if part == "U" else wrong
    with pytest.raises(AssertionError, match="beyond the bound"):
        assert_svd(out._replace(**{part: wrong}), b, a)


def test_svd_refuses_an_order_and_a_layout() -> None:
    b, a = factors(12, 10, 4)
    out = lowrank_svd(b, a)
    turned = out._replace(U=by_direction(out.U.flip(-1)), S=out.S.flip(-1), Vh=out.Vh.flip(-2))
    with pytest.raises(AssertionError, match="descending"):
        assert_svd(turned, b, a)
    with pytest.raises(AssertionError):
        assert_svd(out._replace(U=out.U.contiguous()), b, a)


@pytest.mark.parametrize("name", [*ALL_PAIRWISE, "spectra", "d"])
def test_pairs_refuse_what_is_off(name: str) -> None:
    x, y = zoo(5, 12, 10, 4), zoo(3, 12, 10, 4, seed=10)
    out = pairwise(x, y, metrics=ALL_PAIRWISE, spectra=True, p=3.0)
    assert_pairs(out, x, y, p=3.0)
    for way in (out.forward, out.backward):
        assert way is not None
        right = way[name]
        way[name] = right.clone()
        way[name].flatten()[0] += 1e-3 * right.abs().max() + 1e-3
        with pytest.raises(AssertionError, match=name):
            assert_pairs(out, x, y, p=3.0)
        way[name] = right


@pytest.mark.parametrize("norm", ["frobenius", "squared"])
def test_sparse_refuses_what_is_off(norm: str) -> None:
    d = torch.tensor([[3.0, 2.0, -1.0], [1.0, 0.5, 0.25]])
    tau_norm = torch.tensor([5.0, 2.0])
    S, info = sparsify(d, tau_norm, 0.3, norm=norm, return_info=True)
    assert_sparse(S, info.objective, d, tau_norm, 0.3, norm)
    for wrong, value in ((S * (1 + 1e-6), info.objective), (S, info.objective * (1 + 1e-6))):
        with pytest.raises(AssertionError, match="beyond the bound"):
            assert_sparse(wrong, value, d, tau_norm, 0.3, norm)


@pytest.mark.parametrize("name", ["l1", "l2", "linf", "lp", "rec", "entropy", "entropy_projected"])
def test_spectra_refuse_what_is_off(name: str) -> None:
    s1, s2 = torch.rand(6, 5), torch.rand(6, 5)
    out = compare_spectra(s1, s2, metrics=[name], p=3.0)
    assert_spectra(out, s1, s2, p=3.0)
    with pytest.raises(AssertionError, match=name):
        assert_spectra({name: out[name] + 1e-4}, s1, s2, p=3.0)


def test_the_bounds_leave_most_pairs_to_compare() -> None:
    x = zoo(30, 60, 50, 8)
    out = pairwise(x, metrics=["l1", "rec", "excess"], spectra=True).forward
    want = {name: values.double() for name, values in out.items()}
    c = pair_bounds(x, x, want, torch.float32, None, bounds.projection(torch.float32))
    assert c.noise.double().mean() < 0.01
    assert (bounds.rec(c) < 1e-3).double().mean() > 0.95 and (bounds.entropy_projected(c) < 1e-2).double().mean() > 0.95


def test_bits_refuse() -> None:
    one = torch.tensor([1.0, torch.nan])
    assert_same_bits({"a": (one, None)}, {"a": (one.clone(), None)})
    for other in (one.double(), one[:1], torch.tensor([1.0, 1.0]), torch.tensor([1.0 + 2**-20, torch.nan]), None):
        with pytest.raises(AssertionError):
            assert_same_bits(one, other)


def test_poison_shows_what_nobody_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native._C, "pairwise", lambda *arguments: None)
    monkeypatch.setattr(native._C, "lowrank_svd", lambda *arguments: None)
    monkeypatch.setattr(native._C, "compare_spectra", lambda *arguments: None)
    monkeypatch.setattr(native._C, "sparsify", lambda *arguments: None)
    out = pairwise(zoo(3, 4, 4, 2), spectra=True)
    assert all(values.isnan().all() for values in out.forward.values())
    assert all(part.isnan().all() for part in lowrank_svd(*factors(4, 4, 2)))
    assert all(values.isnan().all() for values in compare_spectra(torch.ones(3), torch.ones(3)).values())
    S, info = sparsify(torch.ones(3), torch.tensor(2.0), [0.1, 0.2], return_info=True)
    assert S.isnan().all() and info.objective.isnan().all()
