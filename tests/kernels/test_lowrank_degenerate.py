"""``lowrank_svd`` where factors lack rank, vanish or are not finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from taskvec_kernels import lowrank_svd, reference

from .cases import factors, name_of, random
from .compare import assert_same_bits, assert_svd

FLOATS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)


def assert_rank(b: Tensor, a: Tensor, rank: int) -> None:
    """Accurate, of exactly this rank, and with zero directions after it."""
    out = lowrank_svd(b, a)
    assert_svd(out, b, a, condition=100.0)
    assert int((out.S > 0).sum()) == rank == int((reference.lowrank_svd(b, a).S > 0).sum())
    assert not out.U[..., rank:].any() and not out.Vh[..., rank:, :].any()


@pytest.mark.slow
@FLOATS
@pytest.mark.parametrize("shape", [(9, 7, 4), (40, 30, 8), (64, 66, 33), (150, 140, 128)], ids=name_of)
def test_duplicated_directions(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    m, n, r = shape
    b, a = factors(m, n, r, dtype=dtype)
    b[:, 1] = b[:, 0]
    assert_rank(b, a, r - 1)
    a[3] = 2 * a[2]
    assert_rank(b, a, r - 2)


@FLOATS
def test_one_direction_many_times(dtype: torch.dtype) -> None:
    b, a = (t.to(dtype) for t in (random(30, 1).expand(30, 8), random(1, 20).expand(8, 20)))
    assert_rank(b, a, 1)


@FLOATS
def test_zero_factors_and_columns(dtype: torch.dtype) -> None:
    b, a = factors(30, 20, 6, dtype=dtype)
    assert_rank(torch.zeros_like(b), a, 0)
    assert_rank(b, torch.zeros_like(a), 0)
    assert_rank(b * torch.tensor([1, 0, 1, 1, 0, 1]).to(dtype), a, 4)
    only_first, only_last = torch.arange(6) < 3, torch.arange(6) >= 3
    assert_rank(b * only_first, a * only_last[:, None], 0)


@pytest.mark.slow
@FLOATS
@pytest.mark.parametrize("rank", [1, 7, 33, 100])
def test_padding_with_zero_directions(rank: int, dtype: torch.dtype) -> None:
    b, a = factors(150, 140, 128, dtype=dtype)
    live = torch.arange(128) * 37 % 128 < rank
    assert_rank(b * live, a, rank)
    assert_rank(b * live, a * live[:, None], rank)


@FLOATS
@pytest.mark.parametrize("shape", [(5, 4, 1), (50, 40, 8), (1000, 20, 3), (60, 70, 30)], ids=name_of)
def test_terms_that_cancel(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    """[B, B] · [A; −A] = 0 although neither factor is: what is left of the sum is rounding, not directions."""
    b, a = factors(*shape, dtype=dtype)
    doubled = torch.cat([b, b], -1), torch.cat([a, -a], -2)
    for backend in ("cpu", "reference"):
        assert not any(part.any() for part in lowrank_svd(*doubled, backend=backend))


@FLOATS
def test_low_rank_in_one_factor_only(dtype: torch.dtype) -> None:
    b, a = factors(40, 30, 8, dtype=dtype)
    b[:, 4:] = b[:, :4]
    assert_rank(b, a, 4)


@FLOATS
@pytest.mark.parametrize("condition", [1e8, 1e10, 1e14], ids=name_of)
def test_any_condition(condition: float, dtype: torch.dtype) -> None:
    """Directions that the Gram matrix does not show are there all the same."""
    b, a = factors(50, 40, 8, condition=condition, dtype=dtype)
    assert_svd(lowrank_svd(b, a), b, a, condition=1.0)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("where", ["b", "a", "scale"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_finite_spoils_one_matrix_alone(bad: float, where: str, backend: str) -> None:
    b, a = factors(20, 10, 4, batch=(3,))
    scale = torch.ones(3)
    good = lowrank_svd(b, a, scale, backend=backend)
    {"b": b[1, 19], "a": a[1, 3], "scale": scale[1:2]}[where][0] = bad
    out = lowrank_svd(b, a, scale, backend=backend)
    for part, whole in zip(out, good, strict=True):
        assert part[1].isnan().all()
        assert_same_bits(part[::2], whole[::2])
