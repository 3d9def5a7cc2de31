"""Every public function on CUDA tensors, on the backend of the automatic choice, at the bounds of docs/NUMERICS.md."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from taskvec_kernels import (
    LowRankSVD,
    Pairwise,
    compare_spectra,
    lowrank_svd,
    pairwise,
    project,
    project_dense,
    reference,
)

from ..kernels import bounds
from ..kernels.cases import ALL_PAIRWISE, DTYPES, factors, name_of, zoo
from ..kernels.compare import assert_pairs, assert_spectra, assert_svd, assert_within, output_dtype

BACKENDS = ("cuda", "triton")
# the reference is what runs where no GPU backend has a function, and says so
pytestmark = pytest.mark.filterwarnings("ignore:.* runs the slow fp64 reference:RuntimeWarning")
ON_DTYPES = pytest.mark.parametrize("dtype", DTYPES, ids=name_of)


def there(value: Any, device: torch.device | str) -> Any:
    """Tensors, and tuples and dicts of them, on another device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: there(one, device) for name, one in value.items()}
    if isinstance(value, (LowRankSVD, Pairwise)):
        return type(value)(*(there(one, device) for one in value))
    return value


def result(value: Any, gpu: torch.device) -> Any:
    """On the CPU for the comparators, U by direction as it was; all of it must have been on the GPU."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
    assert all(part.device == gpu for part in parts if isinstance(part, Tensor))
    return there(value, "cpu")


@ON_DTYPES
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (9, 7, 3), (40, 33, 8), (70, 65, 16), (300, 1030, 17), (257, 90, 64), (140, 150, 128)],
    ids=name_of,
)
def test_lowrank_svd(shape: tuple[int, int, int], dtype: torch.dtype, gpu: torch.device) -> None:
    b, a = factors(*shape, batch=(3,), dtype=dtype)
    scale = torch.tensor([1.0, -0.5, 0.0])
    out = result(lowrank_svd(there(b, gpu), there(a, gpu), there(scale, gpu)), gpu)
    assert_svd(out, b, a, scale, condition=100.0)


@ON_DTYPES
@pytest.mark.parametrize("shape", [(1, 3, 3, 1), (9, 17, 15, 8), (17, 200, 310, 16), (33, 64, 65, 5)], ids=name_of)
def test_pairwise(shape: tuple[int, int, int, int], dtype: torch.dtype, gpu: torch.device) -> None:
    x = zoo(*shape, dtype=dtype)
    out = pairwise(there(x, gpu), metrics=ALL_PAIRWISE, spectra=True, p=2.5)
    assert_pairs(result(out, gpu), x, p=2.5)


@ON_DTYPES
def test_pairwise_of_two(dtype: torch.dtype, gpu: torch.device) -> None:
    x, y = zoo(7, 40, 33, 8, dtype=dtype), zoo(5, 40, 33, 3, dtype=dtype, seed=9)
    out = pairwise(there(x, gpu), there(y, gpu), metrics=ALL_PAIRWISE, spectra=True, p=3.0)
    assert_pairs(result(out, gpu), x, y, p=3.0)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_precisions(precision: str, gpu: torch.device) -> None:
    x = zoo(20, 256, 128, 8)
    out = pairwise(there(x, gpu), metrics=("l1", "l2", "cosine", "energy"), spectra=True, precision=precision)
    assert_pairs(result(out, gpu), x, precision=precision)


@ON_DTYPES
@pytest.mark.parametrize("shape", [(7, 3, 3, 5), (65, 33, 16, 3), (300, 513, 4, 8)], ids=name_of)
def test_project(shape: tuple[int, int, int, int], dtype: torch.dtype, gpu: torch.device) -> None:
    m, n, k, r = shape
    U, _, Vh = zoo(3, m, n, k, dtype=dtype)
    b, a = factors(m, n, r, batch=(3,), dtype=dtype)
    tau = reference.dense(b, a, 1.0).to(dtype)
    for clip in (True, False):
        d = project(there(U, gpu), there(Vh, gpu), there(b, gpu), there(a, gpu), 0.5, clip=clip)
        want = reference.project(U, Vh, b, a, 0.5, clip=clip)
        assert d.dtype == output_dtype(U)
        assert_within("project", result(d, gpu), want, bounds.project(d.dtype, U, Vh, b, a, 0.5))
        d = project_dense(there(U, gpu), there(Vh, gpu), there(tau, gpu), clip=clip)
        want = reference.project_dense(U, Vh, tau, clip=clip)
        assert_within("project_dense", result(d, gpu), want, bounds.project_dense(d.dtype, U, Vh, tau))


@ON_DTYPES
@pytest.mark.parametrize("k", [1, 8, 33])
def test_compare_spectra(k: int, dtype: torch.dtype, gpu: torch.device) -> None:
    s1, s2 = zoo(9, 40, 40, k, dtype=dtype).S, zoo(9, 40, 40, k, dtype=dtype, seed=5).S
    s2[3] = 0
    names = ("l1", "l2", "linf", "lp", "rec", "entropy", "entropy_projected")
    out = compare_spectra(there(s1, gpu), there(s2, gpu), metrics=names, p=3.0)
    assert_spectra(result(out, gpu), s1, s2, p=3.0)


def test_zero_and_nan_adapters(gpu: torch.device) -> None:
    x = zoo(6, 30, 20, 4)
    for t in x:
        t[1] = 0
    x.S[3] = torch.nan
    out = result(pairwise(there(x, gpu), metrics=("rec", "cosine", "energy")), gpu).forward
    assert out["rec"][0, 1] == 0 and out["rec"][1, 0] == 0 and out["cosine"][0, 1].isnan()
    assert not out["rec"][0, 2].isnan() and out["cosine"][0, 3].isnan()


@pytest.mark.parametrize("function", [project, pairwise, lowrank_svd, project_dense], ids=lambda f: f.__name__)
def test_inputs_on_two_devices(function: Any, gpu: torch.device) -> None:
    x = zoo(3, 9, 8, 3)
    b, a = factors(9, 8, 3, batch=(3,))
    calls = {
        "lowrank_svd": lambda: lowrank_svd(there(b, gpu), a),
        "project": lambda: project(x.U, there(x.Vh, gpu), b, a),
        "project_dense": lambda: project_dense(x.U, x.Vh, there(b @ a, gpu)),
        "pairwise": lambda: pairwise(LowRankSVD(there(x.U, gpu), x.S, x.Vh)),
    }
    with pytest.raises(ValueError, match=r"all tensors must be on one device, got .*cuda:0.*\.to\(device\)"):
        calls[function.__name__]()


def test_backends_and_tensors_that_do_not_fit(gpu: torch.device) -> None:
    b, a = factors(9, 8, 3)
    with pytest.raises(ValueError, match=r"backend 'cuda' cannot run: takes CUDA tensors, got cpu"):
        lowrank_svd(b, a, backend="cuda")
    with pytest.raises(ValueError, match=r"backend 'cpu' cannot run: takes CPU tensors, got cuda:0"):
        lowrank_svd(there(b, gpu), there(a, gpu), backend="cpu")
    with pytest.raises(TypeError, match=r"b has dtype torch.int32"):
        lowrank_svd(there(b, gpu).int(), there(a, gpu))
