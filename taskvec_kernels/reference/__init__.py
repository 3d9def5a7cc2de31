"""The fp64 oracle: every public function the slow, obvious way.

Tests and benchmarks compare with these functions and no others. They form the m × n matrices and follow the formulas
of docs/METHOD.md line by line; nothing here is meant to be fast. Same arguments and shapes as the public functions.
"""

from .lowrank import dense, lowrank_svd
from .metrics import METRICS, Pair, compare_spectra
from .pairs import one_way, pairwise
from .projection import project, project_dense
from .sparse import objective, residual_square, solve, sparsify

__all__ = [
    "METRICS",
    "Pair",
    "compare_spectra",
    "dense",
    "lowrank_svd",
    "objective",
    "one_way",
    "pairwise",
    "project",
    "project_dense",
    "residual_square",
    "solve",
    "sparsify",
]
