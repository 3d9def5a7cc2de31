"""``project`` and ``project_dense`` against the oracle."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, project, project_dense, reference

from . import bounds
from .cases import DTYPES, factors, name_of, random, zoo
from .compare import assert_same_bits, assert_within, output_dtype

SHAPES = [(1, 1, 1, 1), (3, 7, 2, 1), (7, 3, 3, 5), (16, 17, 8, 9), (65, 33, 16, 3), (300, 513, 4, 8), (9, 8, 5, 64)]


def source(m: int, n: int, k: int, dtype: torch.dtype, adapters: int = 3) -> LowRankSVD:
    return zoo(adapters, m, n, k, dtype=dtype)


def check(U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: float | Tensor = 1.0) -> None:
    dtype = output_dtype(U, Vh, b, a)
    bound = bounds.project(dtype, U, Vh, b, a, scale)
    for clip in (True, False):
        out = project(U, Vh, b, a, scale, clip=clip)
        assert out.dtype == dtype
        assert_within("project", out, reference.project(U, Vh, b, a, scale, clip=clip), bound)
    tau = reference.dense(b, a, scale).to(b.dtype)
    bound = bounds.project_dense(dtype, U, Vh, tau)
    for clip in (True, False):
        out = project_dense(U, Vh, tau, clip=clip)
        assert out.dtype == dtype
        assert_within("project_dense", out, reference.project_dense(U, Vh, tau, clip=clip), bound)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
def test_shapes_and_dtypes(shape: tuple[int, int, int, int], dtype: torch.dtype) -> None:
    m, n, k, r = shape
    U, _, Vh = source(m, n, min(k, m, n), dtype)
    check(U, Vh, *factors(m, n, r, batch=(3,), dtype=dtype))


def test_mixed_dtypes_give_the_widest() -> None:
    U, _, Vh = source(12, 10, 4, torch.float32)
    check(U, Vh, *factors(12, 10, 3, batch=(3,), dtype=torch.float64))
    check(U, Vh, *factors(12, 10, 3, batch=(3,), dtype=torch.bfloat16))


@pytest.mark.parametrize("scale", [-2.0, 0.0, 1e-3, torch.tensor([1.0, -1.0, 0.5])])
def test_scales(scale: float | Tensor) -> None:
    U, _, Vh = source(12, 10, 4, torch.float32)
    check(U, Vh, *factors(12, 10, 3, batch=(3,)), scale)


def test_leading_dimensions_broadcast() -> None:
    U, _, Vh = source(12, 10, 4, torch.float32)
    b, a = factors(12, 10, 3, batch=(5, 1))
    assert project(U, Vh, b, a).shape == (5, 3, 4)
    check(U, Vh, b, a)
    assert project_dense(U, Vh, random(2, 1, 12, 10).float()).shape == (2, 3, 4)
    assert project(U[:0], Vh[:0], b[0], a[0]).shape == (0, 4)


def test_a_tall_matrix_in_several_pieces() -> None:
    U, _, Vh = source(300, 5000, 2, torch.float32, adapters=1)
    tau = random(300, 5000).half()
    bound = bounds.project_dense(torch.float32, U, Vh, tau)
    assert_within("project_dense", project_dense(U, Vh, tau), reference.project_dense(U, Vh, tau), bound)


def test_any_strides() -> None:
    U, _, Vh = source(12, 10, 4, torch.float32)
    b, a = factors(12, 10, 3, batch=(3,))
    want = project(U, Vh, b, a)
    assert torch.equal(project(U.contiguous(), Vh.mT.contiguous().mT, b.mT.contiguous().mT, a.mT.contiguous().mT), want)


def test_leading_dimensions_that_no_stride_names() -> None:
    U, _, Vh = zoo(4, 40, 33, 4, batch=(2,))
    b, a = factors(40, 33, 16, batch=(2, 1))
    check(U, Vh, b, a)
    check(U.transpose(0, 1), Vh.transpose(0, 1), *factors(40, 33, 3, batch=(4, 2)))


@pytest.mark.parametrize("shape", [(700, 40, 8, 8), (40, 700, 3, 16), (520, 530, 20, 32)], ids=name_of)
def test_directions_of_one_sign(shape: tuple[int, int, int, int]) -> None:
    """Rounding errors that add up instead of cancelling."""
    m, n, k, r = shape
    U, Vh = torch.full((1, m, k), m**-0.5), torch.full((1, k, n), n**-0.5)
    check(U, Vh, torch.rand(1, m, r) + 1, torch.rand(1, r, n) + 1)


def test_threads_change_no_bit(threads: Any) -> None:
    U, _, Vh = source(300, 520, 8, torch.float32)
    b, a = factors(300, 520, 8, batch=(3,))
    results = []
    for number in (1, 3):
        threads(number)
        results.append((project(U, Vh, b, a), project_dense(U, Vh, b @ a)))
    assert_same_bits(*results)


def test_nan_comes_out() -> None:
    U, _, Vh = source(12, 10, 4, torch.float32)
    b, a = factors(12, 10, 3, batch=(3,))
    b[1, 0, 0] = math.nan
    for out in (project(U, Vh, b, a), project_dense(U, Vh, b @ a)):
        assert out[1].isnan().all() and not out[::2].isnan().any()


@pytest.mark.parametrize("name", ["project", "project_dense"])
def test_backends_agree(name: str) -> None:
    U, _, Vh = source(12, 10, 4, torch.float64)
    b, a = factors(12, 10, 3, batch=(3,), dtype=torch.float64)
    given = (U, Vh, b, a) if name == "project" else (U, Vh, b @ a)
    run = {"project": project, "project_dense": project_dense}[name]
    assert torch.allclose(run(*given), run(*given, backend="reference"), rtol=1e-12, atol=1e-12)
