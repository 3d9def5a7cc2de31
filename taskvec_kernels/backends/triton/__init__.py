"""The backend "triton": the operators' flat signatures on Triton kernels. ``lowrank_svd`` is not among them."""

from .compare import compare_spectra
from .dense import project_dense
from .factors import project
from .pairs import pairwise
from .sparse import sparsify

__all__ = ["compare_spectra", "pairwise", "project", "project_dense", "sparsify"]
