"""A result for one λ, as it was when it was read: what every page asks of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cached_property, lru_cache, partial
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from numpy.typing import NDArray

from ..documents import as_lines
from ..errors import TaskvecError
from ..queries.clustering import Tree, tree
from ..queries.details import Details, details
from ..queries.kept import Kept, Listed, kept
from ..queries.labels import Labels
from ..queries.mapping import Plane, classical_map, landmark_map, listed_map, umap_map
from ..queries.neighbours import of_modules
from ..queries.ranking import STORED, Significance, check, frame
from ..queries.summaries import summaries
from ..reports.html.document import cautions
from ..reports.html.paper import paper_sheets
from ..reports.html.sheets import Sheet
from .database import Database
from .tables import MOST_ROWS, adapter_table, module_norm_table, module_table, most_of, pair_columns, table

MOST_SQUARE = 2000  # adapters up to which every number of the whole update is in memory
LANDMARKS = 500  # of the map of more adapters
REMEMBERED = 5000  # ordered pairs whose details are
STRONGEST = """
SELECT source_at, target_at FROM pair_rows WHERE captured >= coalesce(captured_back, 0)
ORDER BY captured DESC, source_at, target_at LIMIT {}
"""
OF_PAPER = 150  # pairs of the paper's tables, where no labels name tasks
AT_FIRST = 20  # pairs whose verdicts people see first


class View:
    """Args:
        every_lam: from ``open_result``.
        lam: which λ, of several.
        labels: of its adapters.

    Raises:
        TaskvecError: a result without captured or rec.

    Cost:
        Two passes over the stored pairs; 50 bytes an ordered pair, of at most MOST_ROWS.
    """

    def __init__(self, every_lam: xr.Dataset, lam: int, labels: Labels) -> None:
        self.every_lam = every_lam
        self.dataset = every_lam.isel(lam=lam) if "lam" in every_lam.dims else every_lam
        self.labels = labels
        self.names = [str(name) for name in self.dataset["source"].values]
        self.position = {name: i for i, name in enumerate(self.names)}
        attributes = self.dataset.attrs
        if not attributes["complete"] and "captured" not in self.dataset and "listed" not in self.dataset.dims:
            what = f"a sweep with --keep {attributes.get('keep')} lists its pairs once all are computed"
            raise TaskvecError(what, fix="this page can be read when the sweep is done")
        check(self.dataset)
        self.pooled = pooled(self.dataset)
        self.pairs = kept(self.pooled)
        self.significance = Significance.of(self.pairs, "bh")
        self.hashes = as_lines(self.dataset.attrs["input_sha256"])
        columns = pair_columns(self.pairs, self.significance)
        self.every_pair = len(columns["captured"]) < MOST_ROWS
        self.summaries = summaries(self.pooled, most_of(columns, len(self.names)), labels.groups)
        self.database = Database(
            {
                "pair_rows": table(columns),
                "adapters": adapter_table(self.summaries, labels, self.hashes),
                "modules": module_table(self.dataset),
                "adapter_modules": module_norm_table(self.pooled),
            }
        )
        self.square_of = lru_cache(8)(partial(square_of, self.dataset))
        self._details: OrderedDict[tuple[str, str], Details] = OrderedDict()
        self._lock = Lock()
        self._warm = False

    def at(self, name: str) -> int:
        """The position of an adapter; TaskvecError for one that the result does not have."""
        if name in self.position:
            return self.position[name]
        near = ", ".join(get_close_matches(name, self.names, n=3, cutoff=0.3) or self.names[:3])
        raise TaskvecError("no such adapter in the result", got=repr(name), expected=f"one such as {near}")

    @property
    def in_memory(self) -> bool:
        """Whether ``square`` gives every pair at once."""
        return len(self.names) <= MOST_SQUARE and not isinstance(self.pairs, Listed)

    def rows(self, ends: Sequence[tuple[int, int]]) -> pd.DataFrame:
        """Both directions of unordered pairs, as ``details`` and the documents of pairs take them."""
        both = np.array([end for one in ends for end in (one, one[::-1])], np.intp).reshape(-1, 2)
        if isinstance(self.pairs, Listed):
            absent = ~np.isin(both @ [len(self.names), 1], self.pairs.place)
            if absent.any():
                one, other = (self.names[at] for at in both[absent][0])
                fix = "taskvec project compares them"
                raise TaskvecError("the result does not keep this pair", got=f"{one} and {other}", fix=fix)
        source, target = both.T
        columns = self.pairs.at(source, target, STORED)
        columns["captured_back"] = columns["captured"].reshape(-1, 2)[:, ::-1].ravel()
        return frame(self.pairs, source, target, columns, self.significance)

    def details(self, rows: pd.DataFrame) -> list[Details]:
        """Of ``rows``; those of the last pairs are remembered."""
        ends = list(zip(rows["source"], rows["target"], strict=True))
        with self._lock:
            known = {one: self._details[one] for one in ends if one in self._details}
        missing = [k for k, one in enumerate(ends) if one not in known]
        if missing:
            found = details(self.dataset, rows.iloc[missing], self.labels.groups)
            known |= dict(zip((ends[k] for k in missing), found, strict=True))
        with self._lock:
            self._details.update(known)
            while len(self._details) > REMEMBERED:
                self._details.popitem(last=False)
        return [known[one] for one in ends]

    def square(self, name: str) -> NDArray[np.float32]:
        """(N, N) of a result that is in memory: a column of the ranking, ``above_chance`` or ``log_q``."""
        if name == "above_chance":
            return self.square("rec") - self.square("rec_chance")
        if name == "q":
            q = self.significance.columns(self.pooled["rec_z_raw"].values)["q"]
            return q.astype(np.float32)
        found: NDArray[np.float32] = self.pooled[name].values
        return found

    @property
    def every_module(self) -> bool:
        """Whether the result keeps modules apart."""
        return "module" in self.dataset["captured"].dims

    @cached_property
    def cautions(self) -> list[dict[str, Any]]:
        """What to know before any number is read: of the sweep, then of each adapter."""
        return cautions(self.pooled)

    @cached_property
    def paper(self) -> list[Sheet]:
        """The paper's tables, as far as the result has them."""
        found = self.database.frame(STRONGEST.format(OF_PAPER))
        both = np.array([end for i, j in found.itertuples(index=False) for end in ((i, j), (j, i))], np.intp)
        captured = self.square("captured") if self.in_memory else np.full((0, 0), np.nan, np.float32)
        source, target = both.reshape(-1, 2).T
        return paper_sheets(self.every_lam, self.summaries, captured, (source, target), self.labels)

    def warm(self) -> None:
        """Compute at once what pages would wait for."""
        try:
            first = self.database.frame(STRONGEST.format(AT_FIRST)).itertuples(index=False)
            self.details(self.rows([(int(i), int(j)) for i, j in first]))
            if self.in_memory:
                _ = self.tree
            _ = self.cautions, self.plane, self.paper
        finally:
            self._warm = True  # what failed fails again where it is asked for, and is said there

    def is_ready(self, name: str) -> bool:
        """Whether a property that is computed once has been."""
        return self._warm or name in self.__dict__

    @cached_property
    def tree(self) -> Tree:
        """Of a result that is in memory."""
        return tree(self.square("captured"))

    @cached_property
    def umap(self) -> Plane:
        """Of a result that is in memory."""
        return umap_map(self.square("cosine"))

    @cached_property
    def plane(self) -> Plane:
        """The map of the adapters."""
        N = len(self.names)
        if self.in_memory:
            return classical_map(self.square("cosine"))
        if isinstance(self.pairs, Listed):
            cosine = self.pairs.at(self.pairs.source, self.pairs.target, ["cosine"])["cosine"]
            return listed_map(self.pairs.source, self.pairs.target, cosine, N)
        some = np.unique(np.linspace(0, N - 1, LANDMARKS).astype(np.intp))
        near = self.pooled["cosine"].isel(target=some)
        return landmark_map((near.mean("module") if self.every_module else near).values, some)


def square_of(
    dataset: xr.Dataset, metric: str, kind: str | None, layers: tuple[int, int] | None
) -> NDArray[np.float32]:
    """A metric of every pair over some modules, or ``above_chance``, (N, N)."""
    names = ("rec", "rec_chance") if metric == "above_chance" else (metric,)
    found = in_squares(kept(of_modules(dataset, kind, layers)), names)
    return found["rec"] - found["rec_chance"] if len(names) > 1 else found[metric]


def in_squares(pairs: Kept, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Columns of every pair, (N, N) each; z in fp64, for its q is steep."""
    kinds = {name: np.float64 if name == "rec_z_raw" else np.float32 for name in names}
    found = {name: np.full((pairs.adapters,) * 2, np.nan, kind) for name, kind in kinds.items()}
    for part in pairs.parts(names):
        for columns, *place in ((part.there, part.source, part.target), (part.back, part.target, part.source)):
            for name, square in found.items():
                square[*place] = columns[name]
    return found


def pooled(dataset: xr.Dataset) -> xr.Dataset:
    """What the result says of whole updates, in memory where that is not too much; else as it is stored."""
    pairs = kept(dataset)
    of_pairs = [name for name, array in dataset.data_vars.items() if {"source", "target"} <= {*array.dims}]
    if isinstance(pairs, Listed):
        some = dataset.drop_vars([name for name in dataset.data_vars if str(name).endswith(("_of_layer", "_of_kind"))])
        return some.load()
    if len(pairs.names) > MOST_SQUARE:
        return dataset.assign({name: dataset[name].load() for name in ("norm", "participation")})
    values = in_squares(pairs, STORED)
    rest = dataset.drop_vars(of_pairs).load()
    return rest.assign({name: (("source", "target"), square) for name, square in values.items()})
