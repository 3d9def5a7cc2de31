"""``compare_spectra`` against the oracle."""

from __future__ import annotations

import math

import pytest
import torch

from taskvec_kernels import compare_spectra
from taskvec_kernels.metrics import SPECTRAL

from .cases import DTYPES, name_of, random
from .compare import assert_spectra


def spectra(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """S₁ descending and positive, S₂ clipped: half of it zero."""
    s1 = random(*shape).abs().add(0.01).sort(-1, descending=True).values
    return s1.to(dtype), random(*shape, seed=1).clamp(min=0).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("count", [1, 3, 7, 8, 9, 15, 16, 17, 33])
@pytest.mark.parametrize("k", [1, 2, 5, 64, 256])
def test_shapes_and_dtypes(k: int, count: int, dtype: torch.dtype) -> None:
    s1, s2 = spectra(count, k, dtype=dtype)
    assert_spectra(compare_spectra(s1, s2, metrics=SPECTRAL, p=3.0), s1, s2, p=3.0)


@pytest.mark.parametrize("count", [4095, 4096, 4097, 9000])
def test_several_chunks(count: int) -> None:
    s1, s2 = spectra(count, 3)
    assert_spectra(compare_spectra(s1, s2, metrics=SPECTRAL, p=0.5), s1, s2, p=0.5)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 7.0, 100.0, math.inf])
def test_powers(p: float) -> None:
    s1, s2 = spectra(20, 6)
    for size in (1.0,) if p == 100.0 else (1e-6, 1.0, 1e6):  # the oracle's own powers leave fp64
        assert_spectra(compare_spectra(s1 * size, s2 * size, metrics=["lp"], p=p), s1 * size, s2 * size, p=p)


def test_leading_dimensions() -> None:
    s1, s2 = spectra(3, 1, 5)[0], spectra(4, 5)[1]
    out = compare_spectra(s1, s2, metrics=SPECTRAL, p=3.0)
    assert out["l1"].shape == (3, 4)
    assert_spectra(out, s1, s2, p=3.0)
    assert compare_spectra(s1[0, 0], s2[0])["rec"].shape == ()
    assert compare_spectra(s1[:0], s2)["rec"].shape == (0, 4)


def test_zero_spectra() -> None:
    zero, one, three = torch.zeros(3), torch.tensor([2.0, 0, 0]), torch.tensor([3.0, 2.0, 1.0])
    s1 = torch.stack([zero, zero, three, one, one, three])
    s2 = torch.stack([zero, three, zero, three, one, one])
    out = compare_spectra(s1, s2, metrics=SPECTRAL, p=3.0)
    assert_spectra(out, s1, s2, p=3.0)
    assert out["rec"].tolist()[:3] == [0, 0, 0]
    assert out["entropy"][:2].isnan().all() and out["entropy_projected"][[0, 1, 2]].isnan().all()
    assert out["entropy"][3] == 0


def test_equal_and_uniform_spectra() -> None:
    s1, _ = spectra(9, 8)
    out = compare_spectra(s1, s1, metrics=SPECTRAL, p=3.0)
    assert all((out[name] == 0).all() for name in ("l1", "l2", "linf", "lp"))
    assert (out["rec"] - 1).abs().max() < 1e-6
    flat = compare_spectra(torch.ones(8), torch.ones(8), metrics=["entropy"])["entropy"]
    assert abs(flat.item() - 1) < 1e-6


def test_nan_comes_out_where_it_went_in() -> None:
    s1, s2 = spectra(9, 4)
    s2 = s2 + 0.1
    s2[3, 1] = math.nan
    for name, values in compare_spectra(s1, s2, metrics=SPECTRAL, p=3.0).items():
        assert values.isnan().nonzero().flatten().tolist() == ([] if name == "entropy" else [3]), name
