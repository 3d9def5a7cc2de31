"""Where a comparison takes its factors from: adapters at hand, or a store of them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from taskvec_kernels import LowRankSVD

from .entry import Entry


class Form(NamedTuple):
    """Canonical forms of L modules of N adapters, fp32, with zero directions beyond an adapter's rank.

    Attributes:
        svd: U (L, N, m, k), a transposed view of memory by direction, S (L, N, k), Vh (L, N, k, n).
        norms: ‖τ‖ (L, N), fp64, where it is longer than S, because directions of a dense update are left out; else NaN.
    """

    svd: LowRankSVD
    norms: Tensor


class Factors(Protocol):
    """The factors of a zoo's adapters. It can be pickled, and read by several threads at once."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The adapters; their places here are how ``read`` is asked."""

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        """The forms of modules of one shape that each of these adapters has, padded to ``rank`` = k directions.

        Raises:
            TaskvecError: files that have changed, or cannot be read.
        """

    def whole(self, module: str, adapter: int) -> Tensor | None:
        """The dense τ (m, n) of an update whose form leaves directions out; None where that is not at hand."""
