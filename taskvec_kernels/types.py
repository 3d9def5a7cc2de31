"""Result types of the public functions."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor


class DLPackArray(Protocol):
    """An array that others can read in place: a torch.Tensor, a numpy.ndarray, one of JAX or CuPy."""

    def __dlpack__(self, *args: Any, **options: Any) -> Any: ...


ArrayT = TypeVar("ArrayT", bound=DLPackArray)  # what went in comes out; types.pyi has the records generic in it


class LowRankSVD(NamedTuple):
    """Thin SVD τ = U · diag(S) · Vh, as ``torch.linalg.svd(..., full_matrices=False)`` returns it.

    Attributes:
        U: (..., m, k) left directions; stored by direction, so ``U.mT`` is contiguous.
        S: (..., k) singular values, descending; a zero is exact, and its columns of U and V are zero.
        Vh: (..., k, n) right directions.
    """

    U: Tensor
    S: Tensor
    Vh: Tensor


class Adapters(NamedTuple):
    """N adapters in canonical form, as ``pairwise`` hands them to a backend.

    Attributes:
        U: (..., N, m, k).
        S: (..., N, k).
        Vh: (..., N, k, n).
        norm: (..., N) fp64, ‖τ‖_F where it is not ‖S‖.
        seed: (..., N) int64, of the random starts of its pairs.
    """

    U: Tensor
    S: Tensor
    Vh: Tensor
    norm: Tensor | None = None
    seed: Tensor | None = None


class SparseInfo(NamedTuple):
    """What is known of a solution of ``sparsify``.

    Attributes:
        objective: (...) ‖U S Vᴴ − τ₂‖ + λ ΣS at the S returned, squared norm for ``norm="squared"``.
        steps: (...) int64: Adam's steps, or the active sets that "exact" went through.
        converged: (...) bool: the tolerance stopped Adam; always true of "exact".
    """

    objective: Tensor
    steps: Tensor
    converged: Tensor


class Pairwise(NamedTuple):
    """Metrics of every ordered pair, by name.

    Attributes:
        forward: ``forward[name][..., i, j]`` is x_i→y_j, (..., N, M); several λ's add a leading axis, but to "d".
        backward: ``backward[name][..., j, i]`` is y_j→x_i, (..., M, N); None when y is None.
    """

    forward: dict[str, Tensor]
    backward: dict[str, Tensor] | None
