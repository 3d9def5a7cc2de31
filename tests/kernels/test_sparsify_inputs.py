"""What ``sparsify`` takes: shapes, kinds, dtypes and strides, any batch and number of threads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from taskvec_kernels import sparsify
from taskvec_kernels.solver import NORMS

from .cases import name_of, random
from .compare import assert_same_bits
from .test_sparsify_exact import pairs, solved


def test_broadcasting() -> None:
    d, tau_norm = pairs(12, 5)
    d, tau_norm = d.reshape(3, 4, 5), tau_norm.reshape(3, 4)
    whole = sparsify(d, tau_norm, 0.3)
    assert whole.shape == (3, 4, 5)
    for i, j in np.ndindex(3, 4):
        assert_same_bits(sparsify(d[i, j], tau_norm[i, j], 0.3), whole[i, j])
    wide = tau_norm.amax()
    assert_same_bits(sparsify(d, wide, 0.3), sparsify(d, wide.expand(3, 4), 0.3))
    assert_same_bits(sparsify(d[0, 0], tau_norm[:, :1] + 9, 0.3)[2, 0], sparsify(d[0, 0], tau_norm[2, 0] + 9, 0.3))
    assert sparsify(d[:0], tau_norm[:0], 0.3).shape == (0, 4, 5)
    assert sparsify(d[:0], tau_norm[:0], [0.3, 0.4]).shape == (2, 0, 4, 5)


def test_one_lambda_a_pair() -> None:
    d, tau_norm = pairs(12, 5)
    lam = torch.linspace(0, 2, 12, dtype=torch.float64)
    rows = torch.stack([sparsify(d[i], tau_norm[i], float(lam[i])) for i in range(12)])
    assert_same_bits(sparsify(d, tau_norm, lam), rows)
    assert_same_bits(sparsify(d.reshape(3, 4, 5), tau_norm.reshape(3, 4), lam.reshape(3, 4)), rows.reshape(3, 4, 5))
    # two dimensions broadcast, and may broaden the batch
    assert sparsify(d[0], tau_norm[0], lam.reshape(3, 4)).shape == (3, 4, 5)
    assert sparsify(d.reshape(3, 4, 5), tau_norm.reshape(3, 4), lam[:4].reshape(1, 4)).shape == (3, 4, 5)


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor, np.array])
def test_several_lambdas_add_an_axis(kind: Any) -> None:
    d, tau_norm = pairs(12, 5)
    values = [0.0, 0.3, 0.9, 2.0]
    S, info = sparsify(d, tau_norm, kind(values), return_info=True)
    assert S.shape == (4, 12, 5) and info.objective.shape == info.steps.shape == info.converged.shape == (4, 12)
    for i, lam in enumerate(values if kind is not torch.tensor else torch.tensor(values).tolist()):
        one, of_one = sparsify(d, tau_norm, lam, return_info=True)
        assert_same_bits((S[i], *(t[i] for t in info)), (one, *of_one))
    assert sparsify(d, tau_norm, kind([0.3])).shape == (1, 12, 5)
    assert sparsify(d[0], tau_norm[0], kind([0.3, 0.4])).shape == (2, 5)


def test_numpy_in_numpy_out() -> None:
    d, tau_norm = pairs(12, 5, torch.float32)
    S, info = sparsify(d.numpy(), tau_norm.numpy(), 0.3, return_info=True)
    assert all(isinstance(part, np.ndarray) for part in (S, *info)) and S.dtype == np.float32
    want = sparsify(d, tau_norm, 0.3)
    assert_same_bits(torch.from_numpy(S), want)
    backwards = sparsify(d.numpy()[::-1], tau_norm.numpy()[::-1], np.float64(0.3))
    assert_same_bits(torch.from_numpy(backwards), want.flip(0))
    assert_same_bits(torch.from_numpy(sparsify(d.numpy(), tau_norm.numpy(), np.full(12, 0.3))), want)


def test_strides_and_mixed_dtypes() -> None:
    d, tau_norm = pairs(12, 5, torch.float32)
    want = sparsify(d, tau_norm, 0.3)
    wide = torch.full((12, 11), math.nan)
    wide[:, 1::2] = d
    for layout in (d.mT.contiguous().mT, wide[:, 1::2]):
        assert_same_bits(sparsify(layout, tau_norm, 0.3), want)
    assert_same_bits(sparsify(d, tau_norm.repeat_interleave(2)[::2], 0.3), want)
    assert sparsify(d, tau_norm.double(), 0.3).dtype == sparsify(d.double(), tau_norm, 0.3).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=name_of)
def test_half_precision_of_either_explains_a_tau_norm_below_d(dtype: torch.dtype) -> None:
    """‖τ₂‖ of a contained task rounds below ‖d‖, whichever of the two is stored in half precision."""
    d = random(200, 8).abs().float()
    length = d.double().norm(dim=-1)
    sparsify(d.to(dtype), length.float(), 0.3)
    sparsify(d, length.to(dtype), 0.3)
    sparsify(d.to(dtype), length.to(dtype), 0.3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("count", [1, 7, 16, 17, 4096, 4097])
def test_batches(count: int, norm: str) -> None:
    """A pair does not know the others: any batch, cut anywhere, at any place of a vector."""
    d, tau_norm = pairs(count, 3, torch.float32)
    whole = solved(d, tau_norm, 0.4, norm=norm)
    for part in (slice(0, 1), slice(count // 2, count // 2 + 3), slice(count - 1, count)):
        assert_same_bits(solved(d[part], tau_norm[part], 0.4, norm=norm), tuple(t[part] for t in whole))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_threads(count: int, threads: Any) -> None:
    d, tau_norm = pairs(9000, 3, torch.float32)
    results = []
    for number in (1, count):
        threads(number)
        results.append(solved(d, tau_norm, 0.4))
    assert_same_bits(*results)


def test_inputs_are_left_alone() -> None:
    d, tau_norm = pairs(12, 5)
    lam = torch.rand(12, dtype=torch.float64)
    before = [t.clone() for t in (d, tau_norm, lam)]
    sparsify(d, tau_norm, lam)
    assert_same_bits([d, tau_norm, lam], before)
