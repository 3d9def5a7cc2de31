"""What type checkers know of the public functions: the kind of array that goes in comes out. Read by ``make types``."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels import LowRankSVD, Pairwise, Solver, SparseInfo

Floats = NDArray[np.floating[Any]]


def of_tensors(b: Tensor, a: Tensor, d: Tensor, norm: Tensor) -> None:
    svd = assert_type(tk.lowrank_svd(b, a, 2.0), LowRankSVD[Tensor])
    assert_type(tk.pairwise(svd, svd, solver=Solver([0.0, 0.1])), Pairwise[Tensor])
    assert_type(tk.project(svd.U, svd.Vh, b, a), Tensor)
    assert_type(tk.project_dense(svd.U, svd.Vh, b @ a), Tensor)
    assert_type(tk.compare_spectra(svd.S, svd.S), dict[str, Tensor])
    assert_type(tk.sparsify(d, norm, 0.1), Tensor)
    assert_type(tk.sparsify(d, norm, 0.1, return_info=True), tuple[Tensor, SparseInfo[Tensor]])


def of_arrays(b: Floats, a: Floats, d: Floats, norm: Floats) -> None:
    svd = assert_type(tk.lowrank_svd(b, a), LowRankSVD[Floats])
    assert_type(tk.pairwise(svd, norm=norm), Pairwise[Floats])
    assert_type(tk.project(svd.U, svd.Vh, b, a), Floats)
    assert_type(tk.compare_spectra(svd.S, svd.S), dict[str, Floats])
    assert_type(tk.sparsify(d, norm, norm), Floats)
