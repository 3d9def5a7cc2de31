"""``lowrank_svd`` of (B · G, G⁻¹ · A) for any G: against products without rounding, where terms cancel by 1e15."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from taskvec_kernels import lowrank_svd

from . import bounds
from .cases import factors, name_of, orthonormal, random
from .compare import assert_same_bits, assert_svd, assert_within, output_dtype
from .exact import Exact, error_of_svd

# tall, of many directions, wider than they are tall
SHAPES = [(40, 30, 4), (7, 90, 7), (90, 70, 8), (64, 60, 33), (12, 15, 20)]


def in_gauge(m: int, n: int, r: int, condition: float, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor]:
    """B · G and G⁻¹ · A rounded to ``dtype``: B, A with orthonormal columns and rows, G of this condition number."""
    b, a = random(m, r, seed=seed) / m**0.5, random(r, n, seed=seed + 1) / n**0.5
    s = condition ** -torch.linspace(0, 1, r, dtype=torch.float64)
    left, right = orthonormal(r, r, seed=seed + 2), orthonormal(r, r, seed=seed + 3)
    return (b @ (left * s @ right.mT)).to(dtype), ((right / s @ left.mT) @ a).to(dtype)


def assert_gauge(b: Tensor, a: Tensor, condition: float) -> None:
    out = lowrank_svd(b, a)
    dtype, r, k = output_dtype(b, a), b.shape[-1], out.S.shape[-1]
    error, size = error_of_svd(b, a, *out)
    assert error <= bounds.reconstruction(dtype, r, condition) * size + bounds.cancellation(b, a, k)
    live = (out.S > 0).double().diag()
    for side in (out.U.double(), out.Vh.double().mT):
        assert_within("orthonormal", side.mT @ side, live, bounds.orthogonality(dtype, r, condition))


def test_exact_products() -> None:
    """The oracle itself, on numbers that fp64 holds, and where fp64 loses all digits."""
    x, y = random(5, 4).round(decimals=0), random(4, 3, seed=1).round(decimals=0)
    assert (Exact.of(x) @ Exact.of(y) - Exact.of(x @ y)).norm() == 0
    assert Exact.of(x).norm() == pytest.approx(float(x.norm()), rel=1e-15)
    cancelling = torch.tensor([[1e20, 1.0, -1e20]], dtype=torch.float64)
    assert (Exact.of(cancelling) @ Exact.of(torch.ones(3, 1, dtype=torch.float64))).norm() == 1


@pytest.mark.parametrize("condition", [1e6, 1e7, 1e9, 1e12, 1e15], ids=name_of)
@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=name_of)
def test_gauges(shape: tuple[int, int, int], condition: float, dtype: torch.dtype) -> None:
    """Up to 1e7 the condition counts; beyond it Householder takes over and only what cancels does."""
    b, a = in_gauge(*shape, condition, dtype)
    assert_gauge(b, a, condition if condition <= 1e7 else 1.0)


@pytest.mark.parametrize("condition", [1e9, 1e12, 1e15], ids=name_of)
@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
def test_nothing_is_lost_where_nothing_cancels(shape: tuple[int, int, int], condition: float) -> None:
    """An ill-conditioned B and a plain A: τ is known to the last digits, its small directions included."""
    m, n, r = shape
    b = in_gauge(m, n, r, condition, torch.float64)[0]
    a = random(r, n, seed=7)
    assert_gauge(b, a, 1.0)
    assert_gauge(a.mT, b.mT, 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_one_matrix_of_a_batch(dtype: torch.dtype) -> None:
    """The route of a matrix is its own: its neighbours keep their bits."""
    b, a = (t.to(dtype) for t in factors(60, 50, 8, batch=(5,), dtype=torch.float64))
    plain = lowrank_svd(b, a, -0.5)
    b[2, :, 1] = b[2, :, 0]
    out = lowrank_svd(b, a, -0.5)
    others = [0, 1, 3, 4]
    assert_same_bits([t[others] for t in out], [t[others] for t in plain])
    assert_same_bits([t[2] for t in out], list(lowrank_svd(b[2], a[2], -0.5)))
    assert_svd(out, b, a, -0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
@pytest.mark.parametrize("length", [1, 5, 300, 513, 2000])
def test_lengths_of_the_householder_route(length: int, dtype: torch.dtype) -> None:
    b, a = factors(length, 40, 6, dtype=dtype)
    b[:, 3] = b[:, 2]
    assert_svd(lowrank_svd(b, a), b, a)
    assert_svd(lowrank_svd(a.mT, b.mT), a.mT, b.mT)


@pytest.mark.parametrize("strided", [False, True])
def test_strides_of_the_householder_route(strided: bool) -> None:
    b, a = in_gauge(33, 20, 8, 1e10, torch.float64)
    want = lowrank_svd(b, a)
    if strided:
        b, a = (torch.stack([t, t], -1).flatten(-2)[..., ::2] for t in (b, a))
    else:
        b, a = (t.mT.contiguous().mT for t in (b, a))
    assert_same_bits(lowrank_svd(b, a), want)
    got = lowrank_svd(b.numpy(), a.numpy())
    assert all(isinstance(part, np.ndarray) for part in got)
