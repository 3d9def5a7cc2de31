"""``lowrank_svd`` against the fp64 oracle, at the bounds of docs/NUMERICS.md."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from taskvec_kernels import lowrank_svd

from .cases import DTYPES, factors, name_of, orthonormal
from .compare import assert_svd, assert_within

SMALL = [(1, 1, 1), (3, 1, 1), (1, 7, 3), (3, 7, 1), (7, 3, 3), (7, 7, 7)]
# lengths round a vector of 2, 4 and 8 doubles, a panel's 32, 64, 128 and 512 positions; ranks round 4 and 8
WIDTHS = [(m, 40 - m, r) for m, r in ((3, 2), (4, 3), (5, 4), (7, 5), (8, 7), (9, 8), (15, 9), (16, 15), (17, 16))]
PANELS = [(31, 33, 17), (63, 65, 31), (127, 40, 33), (511, 9, 8), (7, 513, 5), (1025, 5, 3), (9, 1500, 7)]
WIDE = [(70, 64, 63), (65, 80, 65), (130, 127, 127), (129, 140, 129), (256, 255, 255), (256, 260, 256)]
# fewer rows or columns than directions
SHORT = [(1, 9, 5), (9, 2, 8), (5, 3, 16), (17, 15, 33), (20, 64, 256)]


@pytest.mark.parametrize("shape", SMALL + WIDTHS + PANELS + WIDE + SHORT, ids=name_of)
def test_shapes(shape: tuple[int, int, int]) -> None:
    b, a = factors(*shape)
    assert_svd(lowrank_svd(b, a), b, a)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 3, 3), (65, 33, 16), (9, 520, 8), (70, 40, 24)], ids=name_of)
def test_dtypes(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    b, a = factors(*shape, batch=(3,), dtype=dtype)
    assert_svd(lowrank_svd(b, a), b, a, condition=100.0)


@pytest.mark.slow
@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4, 1e5, 3e5, 1e6], ids=name_of)
@pytest.mark.parametrize("shape", [(5, 7, 3), (64, 48, 8), (1000, 20, 16), (70, 90, 64)], ids=name_of)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_conditioned_factors(shape: tuple[int, int, int], condition: float, dtype: torch.dtype) -> None:
    b, a = factors(*shape, condition=condition, dtype=dtype)
    assert_svd(lowrank_svd(b, a), b, a, condition=condition)


@pytest.mark.slow
@pytest.mark.parametrize("condition", [2.0, 1e6], ids=name_of)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_conditioned_factors_of_the_largest_rank(condition: float, dtype: torch.dtype) -> None:
    b, a = factors(256, 257, 256, condition=condition, dtype=dtype)
    assert_svd(lowrank_svd(b, a), b, a, condition=condition)


@pytest.mark.slow
@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6], ids=name_of)
@pytest.mark.parametrize("shape", [(300, 20, 8), (70, 80, 64)], ids=name_of)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_conditions_that_cancel(shape: tuple[int, int, int], condition: float, dtype: torch.dtype) -> None:
    """B · G and G⁻¹ · A for an ill-conditioned G: τ is well-conditioned and a share 1/κ of ‖B‖‖A‖."""
    m, n, r = shape
    b, a = factors(m, n, r, condition=2.0, dtype=torch.float64)
    g, _ = factors(r, r, r, condition=condition, dtype=torch.float64, seed=9)
    b, a = (b @ g).to(dtype), torch.linalg.solve(g, a).to(dtype)
    assert_svd(lowrank_svd(b, a), b, a, condition=2 * condition)


def of_spectrum(spectrum: Tensor, m: int, n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Factors whose product has these singular values, each with its share of them."""
    r, half = len(spectrum), spectrum.sqrt()
    mix = orthonormal(r, r, seed=5)
    return (orthonormal(m, r) * half @ mix).to(dtype), (mix.mT * half @ orthonormal(n, r, seed=1).mT).to(dtype)


SPECTRA = {
    "graded": lambda r: torch.logspace(0, -11, r, dtype=torch.float64),
    "steep": lambda r: 0.5 ** torch.arange(min(r, 37), dtype=torch.float64).repeat_interleave(-(-r // 37))[:r],
    "equal": lambda r: torch.ones(r, dtype=torch.float64),
    "twice": lambda r: 1.0 + torch.arange(r, dtype=torch.float64).div(2, rounding_mode="floor"),
    "nearly equal": lambda r: 1 + 1e-9 * torch.arange(r, dtype=torch.float64),
    "one large": lambda r: torch.cat([torch.tensor([1e6]), torch.ones(r - 1)]).double(),
}


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("r", [8, 31, 32, 50, 128], ids=name_of)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_spectra(r: int, kind: str, size: float, dtype: torch.dtype) -> None:
    """Round the rank from which the core's rows are rotated alone at first."""
    b, a = of_spectrum(SPECTRA[kind](r), r + 9, r + 5, torch.float64)
    b, a = (b * size).to(dtype), a.to(dtype)
    assert_svd(lowrank_svd(b, a), b, a, condition=1e6)


@pytest.mark.slow
@pytest.mark.parametrize("r", [32, 50, 128], ids=name_of)
@pytest.mark.parametrize("kind", ["equal", "twice", "nearly equal"])
def test_small_conditions_to_the_last_digits(r: int, kind: str) -> None:
    b, a = of_spectrum(SPECTRA[kind](r), r + 9, r + 5, torch.float64)
    out = lowrank_svd(b, a)
    assert_svd(out, b, a, condition=12.0)
    assert_within("S", out.S, SPECTRA[kind](r).sort(descending=True).values, 1e-13 * out.S[0])


@pytest.mark.parametrize("decades", [3, 6, 15])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_columns_of_all_sizes(decades: int, dtype: torch.dtype) -> None:
    b, a = factors(60, 50, 8, dtype=torch.float64)
    size = torch.logspace(-decades, decades, 8, dtype=torch.float64)
    for left, right in ((size, 1 / size), (size, size), (size, 1 + 0 * size), (size, size.flip(0))):
        scaled = (b * left).to(dtype), (a * right[:, None]).to(dtype)
        assert_svd(lowrank_svd(*scaled), *scaled, condition=100.0)


@pytest.mark.parametrize("exponent", [-30, -15, -6, 6, 15, 30])
def test_sizes(exponent: int) -> None:
    b, a = factors(20, 30, 5)
    b = b * 10.0**exponent
    assert_svd(lowrank_svd(b, a), b, a)
    assert_svd(lowrank_svd(b, a, 10.0**-exponent), b, a, 10.0**-exponent)


@pytest.mark.parametrize("scale", [2.0, -0.5, 0.0, 1e-6, 1e6])
def test_scales(scale: float) -> None:
    b, a = factors(20, 30, 5, batch=(2,))
    assert_svd(lowrank_svd(b, a, scale), b, a, scale)
    each = torch.tensor([scale, 3.0])
    assert_svd(lowrank_svd(b, a, each), b, a, each)


def test_sign_of_the_scale_goes_to_u() -> None:
    b, a = factors(20, 30, 5)
    plus, minus = lowrank_svd(b, a, 2.0), lowrank_svd(b, a, -2.0)
    assert torch.equal(plus.U, -minus.U) and torch.equal(plus.S, minus.S) and torch.equal(plus.Vh, minus.Vh)
