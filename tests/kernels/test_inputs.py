"""What may be passed in: strides, expanded and broadcast batches, NumPy arrays, several devices' worth of dtypes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, compare_spectra, lowrank_svd, pairwise, project, project_dense, sparsify

from .cases import ALL_PAIRWISE, DTYPES, factors, name_of, zoo
from .compare import assert_pairs, assert_same_bits, assert_svd


def strided(t: Tensor) -> dict[str, Tensor]:
    """The same values in other layouts."""
    padded = torch.full((*t.shape[:-1], 2 * t.shape[-1] + 1), torch.nan, dtype=t.dtype)
    padded[..., 1::2] = t
    tall = torch.full((*t.shape[:-2], t.shape[-2] + 3, t.shape[-1]), torch.nan, dtype=t.dtype)
    tall[..., 2:-1, :] = t
    return {"transposed": t.mT.contiguous().mT, "every second": padded[..., 1::2], "rows of more": tall[..., 2:-1, :]}


LAYOUTS = list(strided(torch.zeros(2, 2)))


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(7, 5, 3), (65, 40, 8), (33, 100, 16)], ids=name_of)
def test_lowrank_svd_of_any_layout(shape: tuple[int, int, int], layout: str, dtype: torch.dtype) -> None:
    b, a = factors(*shape, batch=(2,), dtype=dtype)
    want = lowrank_svd(b, a)
    for left, right in ((strided(b)[layout], a), (b, strided(a)[layout]), (strided(b)[layout], strided(a)[layout])):
        assert_same_bits(lowrank_svd(left, right), want)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pairwise_of_any_layout(layout: str) -> None:
    x, y = zoo(9, 12, 10, 3), zoo(4, 12, 10, 2, seed=10)
    want = pairwise(x, y, metrics=ALL_PAIRWISE, spectra=True, p=3.0)
    other = LowRankSVD(*(strided(t)[layout] for t in x))
    assert_same_bits(pairwise(other, y, metrics=ALL_PAIRWISE, spectra=True, p=3.0), want)
    assert_same_bits(pairwise(y, other, metrics=ALL_PAIRWISE, p=3.0), pairwise(y, x, metrics=ALL_PAIRWISE, p=3.0))


def test_pairwise_of_row_major_u() -> None:
    x = zoo(9, 12, 10, 3)
    rows = x._replace(U=x.U.contiguous())
    assert_same_bits(pairwise(rows), pairwise(x))


def test_inputs_are_left_alone() -> None:
    b, a = factors(12, 10, 3, batch=(4,))
    x = lowrank_svd(b, a)
    given = [b, a, *x]
    before = [t.clone() for t in given]
    lowrank_svd(b, a, -2.0)
    pairwise(x, x, spectra=True)
    project(x.U, x.Vh, b, a)
    project_dense(x.U, x.Vh, b @ a)
    compare_spectra(x.S, x.S)
    assert_same_bits(given, before)


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3), (2, 1, 3), (0,), (2, 0)], ids=str)
def test_batches_of_factors(batch: tuple[int, ...]) -> None:
    b, a = factors(9, 12, 4, batch=batch)
    out = lowrank_svd(b, a)
    assert_svd(out, b, a)
    for index in np.ndindex(*batch):
        assert_same_bits(lowrank_svd(b[index], a[index]), LowRankSVD(*(t[index] for t in out)))


def test_factors_broadcast() -> None:
    b, a = factors(9, 12, 4)[0], factors(9, 12, 4, batch=(2, 3))[1]
    scale = torch.tensor([[1.0], [2.0]])
    assert_svd(lowrank_svd(b, a, scale), b.expand(2, 3, 9, 4), a, scale.expand(2, 3))
    assert_same_bits(lowrank_svd(b.expand(3, 9, 4), a[0]), lowrank_svd(b, a[0]))


def test_batches_of_zoos_broadcast() -> None:
    x, y = zoo(4, 9, 8, 3), zoo(5, 9, 8, 2, batch=(2,), seed=10)
    whole = LowRankSVD(*(t.expand(2, *t.shape) for t in x))
    assert_pairs(pairwise(x, y), whole, y)


def test_mixed_dtypes() -> None:
    b, a = factors(9, 12, 4)
    assert_svd(lowrank_svd(b.half(), a), b.half(), a)
    assert_svd(lowrank_svd(b.half(), a.bfloat16()), b.half(), a.bfloat16())
    assert lowrank_svd(b.double(), a).S.dtype == torch.float64
    x, y = zoo(4, 9, 8, 3), zoo(5, 9, 8, 2, dtype=torch.float64, seed=10)
    assert_pairs(pairwise(x, y), LowRankSVD(*(t.double() for t in x)), y)


def numpy_of(*tensors: Tensor) -> list[np.ndarray]:
    return [t.numpy().copy() for t in tensors]


def test_numpy_in_numpy_out() -> None:
    b, a = factors(9, 12, 4, batch=(3,))
    x = lowrank_svd(b, a)
    bn, an = numpy_of(b, a)
    out = lowrank_svd(bn, an, np.float32(2.0))
    assert all(isinstance(part, np.ndarray) for part in out)
    assert_same_bits([torch.from_numpy(part) for part in out], list(lowrank_svd(b, a, 2.0)))
    got = pairwise(LowRankSVD(*numpy_of(*x)), spectra=True)
    assert all(isinstance(values, np.ndarray) for values in got.forward.values())
    assert_same_bits({name: torch.from_numpy(v) for name, v in got.forward.items()}, pairwise(x, spectra=True).forward)
    U, S, Vh = numpy_of(*x)
    assert isinstance(project(U, Vh, bn, an), np.ndarray)
    assert isinstance(project_dense(U, Vh, bn @ an), np.ndarray)
    assert isinstance(compare_spectra(S, S)["rec"], np.ndarray)
    assert lowrank_svd(bn.astype(np.float64), an).S.dtype == np.float64
    assert lowrank_svd(bn.astype(np.float16), an).S.dtype == np.float32


def test_numpy_views() -> None:
    """Read-only, negative strides and Fortran order: in silence, and without a change to the arrays."""
    b, a = factors(9, 12, 4)
    want = lowrank_svd(b, a).S
    bn, an = numpy_of(b, a)
    frozen = bn.copy()
    frozen.setflags(write=False)
    backwards = bn[::-1].copy()[::-1]
    for left in (frozen, backwards, np.asfortranarray(bn), np.repeat(bn, 2, axis=1)[:, ::2]):
        assert_same_bits(torch.from_numpy(lowrank_svd(left, an).S), want)
        assert (left == bn).all()


def test_a_lazy_sign_is_not_lost() -> None:
    """``conj().imag`` is a view whose memory has the other sign."""
    b, a = factors(9, 12, 4)
    x = lowrank_svd(b, a)

    def negative(t: Tensor) -> Tensor:
        view = torch.complex(t, -t).conj().imag
        assert view.is_neg() and torch.equal(view, t)
        return view

    U, S, Vh = (negative(t) for t in x)
    zoo_of = LowRankSVD(*(t[None] for t in (U, S, Vh)))
    norm = 2 * x.S.norm()
    for got, want in (
        (lowrank_svd(negative(b), negative(a), negative(torch.tensor(2.0))), lowrank_svd(b, a, 2.0)),
        (project(U, Vh, negative(b), negative(a)), project(x.U, x.Vh, b, a)),
        (project_dense(U, Vh, negative(b @ a)), project_dense(x.U, x.Vh, b @ a)),
        (compare_spectra(S, S), compare_spectra(x.S, x.S)),
        (sparsify(S, negative(norm), negative(torch.tensor(0.1))), sparsify(x.S, norm, torch.tensor(0.1))),
        (pairwise(zoo_of).forward, pairwise(LowRankSVD(*(t[None] for t in x))).forward),
    ):
        assert_same_bits(got, want)


def test_a_negative_stride_of_one_row() -> None:
    b, a = numpy_of(*factors(9, 12, 1))
    want = lowrank_svd(b, a).S
    backwards = np.lib.stride_tricks.as_strided(a, a.shape, (-a.strides[0], a.strides[1]))
    assert backwards.strides[0] < 0 and (lowrank_svd(b, backwards).S == want).all()


def test_dlpack_in_dlpack_out() -> None:
    """JAX's arrays stand for every library of the array API that speaks DLPack."""
    jnp = pytest.importorskip("jax.numpy", reason="JAX is not installed")
    b, a = factors(9, 12, 4)
    x, zoo_of = lowrank_svd(b, a, 2.0), zoo(4, 9, 12, 3)
    bj, aj = jnp.asarray(b.numpy()), jnp.asarray(a.numpy())
    xj = lowrank_svd(bj, aj, jnp.float32(2.0))
    tau_norm = jnp.asarray(float(9 * x.S.norm()))
    zj = LowRankSVD(*(jnp.asarray(t.numpy()) for t in zoo_of))
    for got, want in (
        (list(xj), list(x)),
        ([project(xj.U, xj.Vh, bj, aj)], [project(x.U, x.Vh, b, a)]),
        ([project_dense(xj.U, xj.Vh, bj @ aj)], [project_dense(x.U, x.Vh, b @ a)]),
        (list(compare_spectra(xj.S, xj.S).values()), list(compare_spectra(x.S, x.S).values())),
        ([sparsify(xj.S, tau_norm, 0.1)], [sparsify(x.S, 9 * x.S.norm(), 0.1)]),
        (list(pairwise(zj).forward.values()), list(pairwise(zoo_of).forward.values())),
    ):
        for one, other in zip(got, want, strict=True):
            assert isinstance(one, jnp.ndarray)
            torch.testing.assert_close(torch.from_dlpack(one), other.contiguous(), rtol=1e-5, atol=1e-5, equal_nan=True)
    with pytest.raises(TypeError, match=r"lowrank_svd: b, a mix .*; pass one kind"):
        lowrank_svd(bj, a.numpy())
    assert lowrank_svd(bj.astype(jnp.bfloat16), aj).S.dtype == jnp.float32


def test_numpy_arrays_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    from taskvec_kernels.backends import cpu as native

    b, a = numpy_of(*factors(9, 12, 4))
    seen: list[int] = []
    run = native._C.lowrank_svd

    def watched(batch: int, r: int, b: tuple[str, int], a: tuple[str, int], *rest: object) -> None:
        seen.extend([b[1], a[1]])
        run(batch, r, b, a, *rest)

    monkeypatch.setattr(native._C, "lowrank_svd", watched)
    lowrank_svd(b, a)
    assert seen == [b.ctypes.data, a.ctypes.data]
