"""``precision``: "medium" rounds directions to 16-bit fixed point where the CPU can, and its bound holds everywhere."""

from __future__ import annotations

import math

import pytest
import torch

from taskvec_kernels import LowRankSVD, pairwise

from .cases import ALL_PAIRWISE, name_of, pick, zoo
from .compare import assert_pairs, assert_same_bits, assert_within

HALVES = (torch.float32, torch.float16, torch.bfloat16)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_precisions(precision: str) -> None:
    x = zoo(20, 130, 65, 8)
    assert_pairs(
        pairwise(x, metrics=ALL_PAIRWISE, spectra=True, precision=precision, p=3.0), x, p=3.0, precision=precision
    )


# round the 32 positions of a vector of pairs and the 1024 of a panel
@pytest.mark.slow
@pytest.mark.parametrize("length", [8, 31, 32, 33, 63, 64, 65, 1023, 1024, 1025, 1057, 2100])
def test_lengths(length: int) -> None:
    x, y = zoo(9, length, 40, 8), zoo(5, length, 40, 3, seed=10)
    assert_pairs(pairwise(x, precision="medium"), x, precision="medium")
    assert_pairs(pairwise(x, y, spectra=True, precision="medium"), x, y, precision="medium")


@pytest.mark.parametrize("dtype", [*HALVES, torch.float64], ids=name_of)
def test_dtypes(dtype: torch.dtype) -> None:
    x = zoo(33, 300, 200, 5, dtype=dtype)
    assert_pairs(pairwise(x, spectra=True, precision="medium"), x, precision="medium")


@pytest.mark.parametrize("dtype", HALVES, ids=name_of)
def test_one_position(dtype: torch.dtype) -> None:
    """The largest entry a direction can have, of both signs."""
    U, S, Vh = torch.eye(4, 3, dtype=dtype), torch.ones(3), torch.eye(3, 5, dtype=dtype)
    x = LowRankSVD(torch.stack([U, -U]), torch.stack([S, S]).to(dtype), torch.stack([Vh, Vh]))
    got = pairwise(x, spectra=True, precision="medium").forward["d"]
    assert_within("d", got, torch.tensor([[[1.0], [-1]], [[-1], [1]]]).expand(2, 2, 3).double(), 8e-3)


@pytest.mark.parametrize("length", [1024, 16384, 16400])
def test_roundings_that_agree(length: int) -> None:
    """Constant directions round all their positions the same way: the worst case of the bound."""
    ones = torch.full((1, length, 1), 1 / math.sqrt(length))
    x = LowRankSVD(ones, torch.ones(1, 1), ones.mT.contiguous())
    assert_within("d", pairwise(x, spectra=True, precision="medium").forward["d"], torch.ones(1, 1, 1).double(), 8e-3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, 3.0])
def test_what_fixed_point_cannot_hold(value: float) -> None:
    """Such a factor is computed as at "highest"; the pairs of other adapters stay within their bound."""
    x = zoo(6, 50, 40, 4)
    x.U[2, 7, 1] = value
    got, want = (pairwise(x, spectra=True, precision=p).forward["d"] for p in ("medium", "highest"))
    size = 8e-3 * float(x.S.norm(dim=-1).max())
    for a, b in ((got[2], want[2]), (got[:, 2], want[:, 2])):
        assert_same_bits(a.isfinite(), b.isfinite())
        assert_within(
            "d", a[a.isfinite()], b[a.isfinite()], size * max(1.0, abs(value)) if math.isfinite(value) else size
        )
    others = [0, 1, 3, 4, 5]
    rest = pairwise(pick(x, others), spectra=True).forward["d"]
    assert_within("d", got[others][:, others], rest, size)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_bits(precision: str) -> None:
    x = zoo(40, 2000, 50, 8)
    one, many = torch.get_num_threads(), 3
    results = []
    for threads in (1, many):
        torch.set_num_threads(threads)
        results.append(pairwise(x, precision=precision).forward)
    torch.set_num_threads(one)
    assert_same_bits(results[0]["l1"], results[1]["l1"])
    part = pairwise(pick(x, slice(0, 17)), precision=precision).forward
    assert_same_bits(part["l1"], results[0]["l1"][:17, :17].contiguous())
