"""``project``, ``project_dense`` and ``compare_spectra`` of the Triton backend against the oracle."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from taskvec_kernels import compare_spectra, project, project_dense, reference
from taskvec_kernels.backends import triton as backend
from taskvec_kernels.backends.triton.launch import Strided
from taskvec_kernels.metrics import SPECTRAL
from tests.kernels import bounds
from tests.kernels.cases import DTYPES, factors, name_of, random, zoo
from tests.kernels.compare import assert_spectra, assert_within, output_dtype
from tests.kernels.test_compare_spectra import spectra

SHAPES = [(1, 1, 1, 1), (3, 7, 2, 1), (16, 17, 8, 9), (65, 33, 16, 3), (9, 1030, 4, 8), (530, 40, 33, 40)]


def check(U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: float | Tensor = 1.0) -> None:
    dtype = output_dtype(U, Vh, b, a)
    bound = bounds.project(dtype, U, Vh, b, a, scale)
    for clip in (True, False):
        out = project(U, Vh, b, a, scale, clip=clip, backend="triton")
        assert out.dtype == dtype
        assert_within("project", out, reference.project(U, Vh, b, a, scale, clip=clip), bound)
    tau = reference.dense(b, a, scale).to(b.dtype)
    bound = bounds.project_dense(dtype, U, Vh, tau)
    for clip in (True, False):
        out = project_dense(U, Vh, tau, clip=clip, backend="triton")
        assert out.dtype == dtype
        assert_within("project_dense", out, reference.project_dense(U, Vh, tau, clip=clip), bound)


@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
def test_shapes(shape: tuple[int, int, int, int]) -> None:
    m, n, k, r = shape
    U, _, Vh = zoo(2, m, n, min(k, m, n))
    check(U, Vh, *factors(m, n, r, batch=(2,)))


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_dtypes_and_scales(dtype: torch.dtype) -> None:
    U, _, Vh = zoo(3, 20, 30, 4, dtype=dtype)
    check(U, Vh, *factors(20, 30, 5, batch=(3,), dtype=dtype), torch.tensor([1.0, -1.0, 0.5]))


def test_leading_dimensions_and_strides() -> None:
    U, _, Vh = zoo(3, 12, 10, 4)
    b, a = factors(12, 10, 3, batch=(5, 1))
    assert project(U, Vh, b, a, backend="triton").shape == (5, 3, 4)
    check(U, Vh, b, a)
    check(U.contiguous(), Vh.mT.contiguous().mT, b.mT.contiguous().mT, a.mT.contiguous().mT)
    assert project_dense(U, Vh, random(2, 1, 12, 10).float(), backend="triton").shape == (2, 3, 4)
    assert project(U[:0], Vh[:0], b[0], a[0], backend="triton").shape == (0, 4)
    assert project_dense(U[:0], Vh[:0], (b @ a)[0], backend="triton").shape == (0, 4)


def test_what_counts_as_aligned() -> None:
    """What the compiler is told to rely on: data to 16 bytes, every leading offset to 16 elements."""
    whole = torch.empty(4, 5, 6, 16)  # [modules, adapters, ...]
    assert Strided.of(whole, 3).aligned and Strided.of(whole[:1].expand(7, -1, -1, -1), 3).aligned
    assert not Strided.of(whole[..., 1:], 3).aligned and Strided.of(whole[..., 4:], 3).aligned
    odd = torch.empty(4, 5, 3, 5)
    assert not Strided.of(odd, 3).aligned and Strided.of(odd[:1], 3).aligned
    parts = Strided.of(odd[:1], 3)
    assert parts.part(slice(0, 1), slice(0, 2)).aligned and not parts.part(slice(0, 1), slice(2, 4)).aligned
    assert Strided.of(torch.empty(1, 5, 16, 5), 3).part(slice(0, 1), slice(2, 4)).aligned


def test_nan_comes_out() -> None:
    U, _, Vh = zoo(3, 12, 10, 4)
    b, a = factors(12, 10, 3, batch=(3,))
    b[1, 0, 0] = math.nan
    for out in (project(U, Vh, b, a, backend="triton"), project_dense(U, Vh, b @ a, backend="triton")):
        assert out[1].isnan().all() and not out[::2].isnan().any()


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("shape", [(1, 1), (7, 2), (130, 5), (33, 64), (3, 256)], ids=name_of)
def test_compare_spectra(shape: tuple[int, int], dtype: torch.dtype) -> None:
    s1, s2 = spectra(*shape, dtype=dtype)
    for p in (0.5, 3.0, math.inf):
        assert_spectra(compare_spectra(s1, s2, metrics=SPECTRAL, p=p, backend="triton"), s1, s2, p=p)


def test_a_metric_without_a_function_is_refused() -> None:
    with pytest.raises(Exception, match="no function for the metric median"):
        backend.compare_spectra(*spectra(3, 4), ["rec", "median"], None)


def test_zero_spectra_and_nan() -> None:
    zero, one, three = torch.zeros(3), torch.tensor([2.0, 0, 0]), torch.tensor([3.0, 2.0, 1.0])
    s1 = torch.stack([zero, zero, three, one, one, three])
    s2 = torch.stack([zero, three, zero, three, one, one])
    out = compare_spectra(s1, s2, metrics=SPECTRAL, p=3.0, backend="triton")
    assert_spectra(out, s1, s2, p=3.0)
    s2 = torch.full((2, 3), 0.5)
    s2[1, 1] = math.nan
    for name, values in compare_spectra(s1[2:4], s2, metrics=SPECTRAL, p=3.0, backend="triton").items():
        assert values.isnan().tolist() == [False, name != "entropy"], name
