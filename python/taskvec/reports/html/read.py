"""A result, read once for every section of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ...chance.significance import Correction
from ...errors import TaskvecError
from ...queries.clustering import Tree, tree
from ...queries.details import Details, details
from ...queries.labels import Labels
from ...queries.lams import by_lam
from ...queries.matrices import Matrices, matrices
from ...queries.selection import Selection, select
from ...queries.summaries import Most, summaries
from .paper import paper_sheets
from .sheets import Sheet
from .tables import adapter_sheet, pair_sheet

if TYPE_CHECKING:
    import xarray as xr

MOST_PAIRS = 300  # that have a verdict, and their modules kept


@dataclass(frozen=True)
class Read:
    """A result, and what every section asks of it.

    Attributes:
        every_lam: the result for every λ.
        dataset: for the first.
        rows: of the ranking, those of ``pairs``, both directions of each.
        source: positions of the sources of ``rows``.
        target: of their targets.
        details: of ``rows``.
        adam: results of the same adapters by Adam.
    """

    every_lam: xr.Dataset
    dataset: xr.Dataset
    names: tuple[str, ...]
    matrices: Matrices
    tree: Tree
    rows: pd.DataFrame
    source: NDArray[np.intp]
    target: NDArray[np.intp]
    details: Sequence[Details]
    sigma0: float
    labels: Labels
    adam: Sequence[xr.Dataset] = ()

    @classmethod
    def of(
        cls,
        every_lam: xr.Dataset,
        labels: Labels,
        correction: Correction = "bh",
        adam: Sequence[xr.Dataset] = (),
    ) -> Read:
        """TaskvecError for a result of one adapter."""
        _, dataset = by_lam(every_lam)[0]
        names = tuple(str(name) for name in dataset["source"].values)
        if len(names) < 2:
            raise TaskvecError("the result has one adapter: there are no pairs to report", got=", ".join(names))
        square = matrices(dataset, correction)
        selected = select(dataset, Selection(top=MOST_PAIRS), correction)
        rows = selected.rows if selected.gap is None else selected.rows.iloc[: 2 * selected.gap]
        position = {name: i for i, name in enumerate(names)}
        source, target = (np.array([position[name] for name in rows[end]], np.intp) for end in ("source", "target"))
        found = details(dataset, rows, labels.groups)
        of = tree(square.values["captured"])
        return cls(
            every_lam, dataset, names, square, of, rows, source, target, found, selected.sigma0, labels, adam
        )  # fmt: skip

    @cached_property
    def sheets(self) -> list[Sheet]:
        """Every table, the paper's and ours."""
        return [pair_sheet(self.rows, self.details), adapter_sheet(self.summaries), *self.paper]

    @cached_property
    def summaries(self) -> pd.DataFrame:
        return summaries(self.dataset, Most.of(self.matrices.values["captured"]), self.labels.groups)

    @cached_property
    def paper(self) -> list[Sheet]:
        """The paper's tables, as far as the result has them."""
        captured = self.matrices.values["captured"]
        return paper_sheets(
            self.every_lam, self.summaries, captured, (self.source, self.target), self.labels, self.adam
        )
