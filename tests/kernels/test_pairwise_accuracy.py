"""``pairwise`` against the fp64 oracle fed the same inputs, at the bounds of docs/NUMERICS.md."""

from __future__ import annotations

import pytest
import torch

from taskvec_kernels import LowRankSVD, lowrank_svd, pairwise

from .cases import ALL_PAIRWISE, DTYPES, factors, name_of, padded, zoo
from .compare import assert_pairs

# N × m × n × k: one pair; the register tile (4 or 6 rows, 2 or 4 vectors); vectors of pairs; tiles of 512 and 1024
# directions; ranks up to 256; depths round 256 and 512
SHAPES = [
    (1, 1, 1, 1), (1, 3, 7, 3), (2, 3, 3, 2), (3, 7, 5, 1), (7, 9, 8, 3),
    (3, 15, 17, 4), (4, 16, 15, 5), (5, 17, 31, 7), (8, 33, 9, 8), (9, 9, 33, 9),
    (15, 8, 8, 3), (16, 8, 9, 4), (17, 9, 8, 5), (31, 7, 7, 2), (33, 6, 6, 1), (65, 5, 6, 3),
    (63, 9, 10, 8), (64, 10, 9, 8), (65, 9, 9, 8), (127, 8, 8, 8), (129, 8, 8, 8), (200, 6, 7, 5), (29, 20, 19, 17),
    (7, 70, 66, 65), (5, 257, 256, 256), (3, 300, 129, 129),
    (3, 255, 8, 4), (3, 9, 256, 4), (3, 257, 511, 2), (4, 512, 513, 3), (3, 1025, 40, 9), (2, 40, 2000, 8),
]  # fmt: skip
LONE = [(513, 3, 4, 1), (1030, 3, 3, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
def test_all_against_all(shape: tuple[int, int, int, int]) -> None:
    x = zoo(*shape)
    assert_pairs(pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=3.0), x, p=3.0)


@pytest.mark.slow
@pytest.mark.parametrize("shape", LONE, ids=name_of)
def test_many_adapters_of_one_direction(shape: tuple[int, int, int, int]) -> None:
    x = zoo(*shape)
    assert_pairs(pairwise(x), x)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("shape", [(1, 3, 3, 1), (9, 17, 15, 8), (17, 20, 31, 5), (4, 513, 257, 16)], ids=name_of)
def test_dtypes(shape: tuple[int, int, int, int], dtype: torch.dtype) -> None:
    x = zoo(*shape, dtype=dtype)
    assert_pairs(pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=2.5), x, p=2.5)


# (N, k_x) against (M, k_y)
RECTANGLES = [
    (1, 1, 1, 1),
    (3, 4, 1, 2),
    (1, 3, 9, 8),
    (7, 5, 17, 3),
    (16, 8, 15, 8),
    (33, 1, 20, 9),
    (70, 9, 130, 2),
    (5, 33, 40, 16),
]


@pytest.mark.parametrize("shape", RECTANGLES, ids=name_of)
def test_x_against_y(shape: tuple[int, int, int, int]) -> None:
    N, kx, M, ky = shape
    m, n = max(kx, ky) + 2, max(kx, ky) + 5
    x, y = zoo(N, m, n, kx), zoo(M, m, n, ky, seed=10)
    assert_pairs(pairwise(x, y, metrics=ALL_PAIRWISE, spectra=True, p=3.0), x, y, p=3.0)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_dtypes_of_x_against_y(dtype: torch.dtype) -> None:
    x, y = zoo(5, 19, 21, 4, dtype=dtype), zoo(9, 19, 21, 6, dtype=dtype, seed=10)
    assert_pairs(pairwise(x, y, metrics=ALL_PAIRWISE, spectra=True, p=3.0), x, y, p=3.0)


@pytest.mark.parametrize("batch", [(1,), (3,), (2, 3), (0,), (2, 0)], ids=name_of)
def test_batches(batch: tuple[int, ...]) -> None:
    x, y = zoo(5, 12, 10, 3, batch=batch), zoo(4, 12, 10, 2, batch=batch, seed=10)
    assert_pairs(pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=1.0), x, p=1.0)
    assert_pairs(pairwise(x, y, metrics=ALL_PAIRWISE, spectra=True, p=1.0), x, y, p=1.0)


@pytest.mark.parametrize("name", ALL_PAIRWISE)
def test_each_metric_alone(name: str) -> None:
    x, y = zoo(5, 12, 10, 3), zoo(4, 12, 10, 2, seed=10)
    out = pairwise(x, y, metrics=[name], p=3.0)
    assert list(out.forward) == list(out.backward or ()) == [name]
    assert_pairs(out, x, y, p=3.0)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 4.0, 64.0, float("inf")])
def test_powers(p: float) -> None:
    x = zoo(9, 12, 10, 6)
    x = x._replace(S=x.S * 1e4)
    assert_pairs(pairwise(x, metrics=["lp"], p=p), x, p=p)


@pytest.mark.parametrize("exponent", [-12, -6, 6, 12])
def test_sizes_of_spectra(exponent: int) -> None:
    x = zoo(9, 12, 10, 6)
    x = x._replace(S=x.S * 10.0**exponent)
    assert_pairs(pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=3.0), x, p=3.0)


def test_what_lowrank_svd_gives() -> None:
    b, a = factors(90, 70, 8, batch=(2, 6), condition=1e6)
    x = lowrank_svd(b, a)
    assert_pairs(pairwise(x, metrics=ALL_PAIRWISE, spectra=True, p=3.0), x, p=3.0)


def test_unequal_ranks_in_one_zoo() -> None:
    x, y = zoo(4, 20, 18, 6), padded(zoo(3, 20, 18, 2, seed=10), 6)
    both = LowRankSVD(*(torch.cat(parts) for parts in zip(x, y, strict=True)))
    assert_pairs(pairwise(both, metrics=ALL_PAIRWISE, spectra=True, p=3.0), both, p=3.0)
