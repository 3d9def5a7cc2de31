"""Batched kernels for spectral projection of task vectors: tensors in, tensors out.

``lowrank_svd`` brings factors B·A to canonical form (U, S, V); ``pairwise`` projects every one of a zoo on every other
and compares the spectra; ``project``, ``project_dense``, ``sparsify`` and ``compare_spectra`` are the single steps.
"""

from .dispatch.registry import backend_report, simd_level
from .explanation import Explanation, explain
from .headers import get_include
from .lowrank import lowrank_svd
from .metrics import METRICS, Metric
from .pairs import pairwise
from .projection import project, project_dense
from .solver import Solver
from .sparse import sparsify
from .spectra import compare_spectra
from .types import LowRankSVD, Pairwise, SparseInfo
from .version import __version__

__all__ = [
    "METRICS",
    "Explanation",
    "LowRankSVD",
    "Metric",
    "Pairwise",
    "Solver",
    "SparseInfo",
    "__version__",
    "backend_report",
    "compare_spectra",
    "explain",
    "get_include",
    "lowrank_svd",
    "pairwise",
    "project",
    "project_dense",
    "simd_level",
    "sparsify",
]
