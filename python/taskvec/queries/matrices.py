"""The pairs of a sweep as square matrices, source rows × target columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..chance.significance import Correction
from .kept import kept
from .ranking import Significance, check

Floats = NDArray[np.float32]
KEPT = ("captured", "rec", "rec_chance", "cosine")


@dataclass(frozen=True)
class Matrices:
    """(N, N) each, NaN on the diagonal and where a pair has no value.

    Attributes:
        names: of the N adapters, the order of rows and columns.
        values: columns of the ranking, by name: those of KEPT, ``q``, and ``above_chance``, REC less its chance value.
    """

    names: tuple[str, ...]
    values: dict[str, Floats]

    def known(self, name: str) -> bool:
        """Whether any pair has a value."""
        return not np.isnan(self.values[name]).all()


def matrices(dataset: xr.Dataset, correction: Correction = "bh") -> Matrices:
    """Of a result for one λ; a pair that it does not keep is NaN.

    Args:
        dataset: from ``sweep``, or ``open_result`` of its folder; must have ``captured`` and ``rec``.
        correction: of q, over all pairs of the sweep.

    Raises:
        TaskvecError: the dataset is no sweep, or it was made without "captured" or "rec".

    Cost:
        Two passes over five metrics, and 6 (N, N) arrays of fp32.
    """
    check(dataset)
    pairs = kept(dataset)
    significance = Significance.of(pairs, correction)
    shape = (pairs.adapters, pairs.adapters)
    values = {name: np.full(shape, np.nan, np.float32) for name in (*KEPT, "q")}
    for part in pairs.parts([*KEPT, "rec_z_raw"]):
        for columns, *ends in ((part.there, part.source, part.target), (part.back, part.target, part.source)):
            q = significance.columns(columns["rec_z_raw"])["q"]
            for name, matrix in values.items():
                matrix[*ends] = q if name == "q" else columns[name]
    values["above_chance"] = values["rec"] - values["rec_chance"]
    return Matrices(tuple(str(name) for name in pairs.names), values)
