"""What is known of a few pairs beyond their rows in the ranking: means, other layers, direction and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from numpy.typing import NDArray

from ..chance.layers import OtherLayers, other_layers
from ..chance.means import nan_mean, quartiles
from ..documents import as_lines
from ..paths import layer_of
from ..results.direction import Direction
from .direction import Shares, direction
from .flags import adapter_flags, pair_flags
from .groups import direction_over_runs, run_pairs, runs_of
from .kept import kept
from .selection import select

NONE = other_layers(np.nan, np.empty(0))  # of a pair without a baseline
UNASKED = Direction(None, np.nan, np.nan, np.nan, 0, "layers", None, (np.nan, np.nan), (False, False))
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Details:
    """One ordered pair.

    Attributes:
        mean: plain means over modules of every metric of the dataset, of the source's ``entropy``, and of the sum of
            its singular values, ``s1_sum``.
        excess_quartiles: the lower and the upper one over modules.
        other_layers: of ``captured`` and ``rec``.
        direction: the verdict on the pair.
        flags: what to know before the numbers are read.
    """

    mean: dict[str, float]
    excess_quartiles: tuple[float, float]
    other_layers: dict[str, OtherLayers]
    direction: Direction
    flags: tuple[str, ...]


def details(
    dataset: xr.Dataset, rows: pd.DataFrame, groups: Mapping[str, str] | None = None, *, verdicts: bool = True
) -> list[Details]:
    """Of every row of a ranking in which both directions of a pair follow each other.

    Args:
        dataset: the result for one λ.
        rows: from ``select``.
        groups: of adapters that are repeats of one task, by name. Between two tasks that have two runs each, the
            verdict on a pair is that on the tasks, with an interval over runs.
        verdicts: False: ``direction`` is UNASKED, and nothing is computed for it.

    Cost:
        (modules, rows) values of each metric, from the chunks that hold them. With groups as much again for every pair
        of runs of the tasks that are shown.
    """
    pairs = Pairs(dataset, rows)
    ends = list(zip(rows["source"], rows["target"], strict=True))
    if not verdicts:
        return [pairs.details(p, UNASKED) for p in range(len(rows))]
    over_runs = directions_over_runs(dataset, ends, groups or {})
    found: list[Details] = []
    for p in range(0, len(rows), 2):
        verdict = over_runs.get(ends[p]) or pairs.direction(p, p + 1)
        found += [pairs.details(p, verdict), pairs.details(p + 1, verdict.reversed())]
    return found


def details_of_pair(dataset: xr.Dataset) -> tuple[Details, Details]:
    """Of the result of two adapters for one λ: from the first to the second, and back."""
    rows = select(dataset).rows
    there, back = details(dataset, rows.iloc[np.argsort(rows["source"] != dataset["source"].values[0])])
    return there, back


def directions_over_runs(
    dataset: xr.Dataset, pairs: Sequence[tuple[str, str]], groups: Mapping[str, str]
) -> dict[tuple[str, str], Direction]:
    """The verdict over runs for those of ``pairs`` that belong to two tasks with several runs each."""
    runs = {pair: both for pair in pairs if (both := runs_of(pair, groups))}
    needed = run_pairs(runs.values())
    if not needed:
        return {}
    both_ways = [end for one in needed for end in (one, one[::-1])]
    of_runs = Pairs(dataset, pd.DataFrame(both_ways, columns=["source", "target"]))
    by_pair = {one: of_runs.direction(2 * p, 2 * p + 1) for p, one in enumerate(needed)}
    by_pair |= {one[::-1]: verdict.reversed() for one, verdict in by_pair.items()}
    found = {
        pair: direction_over_runs([[by_pair[a, b] for b in targets] for a in sources])
        for pair, (sources, targets) in runs.items()
    }
    return {pair: verdict for pair, verdict in found.items() if verdict is not None}


class Pairs:
    """Arrays of P ordered pairs; the last axis is theirs."""

    def __init__(self, dataset: xr.Dataset, rows: pd.DataFrame) -> None:
        position = {name: i for i, name in enumerate(dataset["source"].values)}
        self.source, self.target = (
            np.array([position[name] for name in rows[end]], np.intp) for end in ("source", "target")
        )
        self.kept = kept(dataset)
        self.there = self.kept.both_have(self.source, self.target)  # [L, P]
        self.values = self.kept.by_module(self.source, self.target)
        self.captured = self.kept.captured(self.source, self.target)
        self.adapters = of_adapters(dataset, np.unique([self.source, self.target]))
        self.size = (dataset["rows"] * dataset["columns"]).values.astype(np.float64)
        self.layers = [layer_of(path) for path in dataset["module"].values]
        self.digests = as_lines(dataset.attrs["input_sha256"])
        self.baseline = Baseline(dataset)

    def details(self, p: int, verdict: Direction) -> Details:
        i, j, there = int(self.source[p]), int(self.target[p]), self.there[:, p]
        source, target = self.adapters[i], self.adapters[j]
        values = {name: value[there, p] for name, value in self.values.items()}
        values |= {"entropy": source.entropy[there], "s1_sum": source.spectrum[there].sum(-1)}
        missing = np.full(int(there.sum()), np.nan)
        flags = pair_flags(
            source.flags,
            target.flags,
            overlap_u=values.get("overlap_u", missing),
            overlap_v=values.get("overlap_v", missing),
            cosine=values.get("cosine", missing),
            norms=(source.norm[there], target.norm[there]),
            ranks=(source.ranks[there], target.ranks[there]),
            same_digest=self.digests[i] == self.digests[j],
        )
        low, high = quartiles(values.get("excess", missing) if self.kept.every_module else missing).tolist()
        mean = {name: float(nan_mean(value)[0]) for name, value in values.items()}
        return Details(mean, (low, high), self.baseline.of(i, j), verdict, flags)

    def direction(self, p: int, back: int) -> Direction:
        """The verdict on the pair whose other direction is ``back``."""
        there, i, j = self.there[:, p], int(self.source[p]), int(self.target[p])
        layers = [layer for layer, one in zip(self.layers, there, strict=True) if one]
        return direction(layers, self.shares(p), self.shares(back), self.cut(i, j, there))

    def shares(self, p: int) -> Shares:
        i, j, there = int(self.source[p]), int(self.target[p]), self.there[:, p]
        random = np.square(self.adapters[i].ranks[there]) / self.size[there]
        other = self.baseline.of(i, j)["captured"]
        return Shares(self.captured[there, p], self.adapters[j].norm[there], random, other)

    def cut(self, i: int, j: int, there: NDArray[np.bool_]) -> tuple[Shares, Shares] | None:
        """Both directions with the two cut to the smaller rank; None where ranks are equal or nothing was computed."""
        ranks = np.minimum(self.adapters[i].ranks, self.adapters[j].ranks)[there]
        random = np.square(ranks) / self.size[there]
        found = []
        for source, target in ((i, j), (j, i)):
            captured, other = self.baseline.cut(source, target)
            if captured is None:
                return None
            kept = np.arange(self.adapters[target].spectrum.shape[-1]) < ranks[:, None]
            norm = np.linalg.norm(self.adapters[target].spectrum[there] * kept, axis=-1)
            found.append(Shares(captured[there], norm, random, other))
        return found[0], found[1]


@dataclass(frozen=True)
class OfAdapter:
    """One adapter, by module: (L,), the spectrum (L, k)."""

    entropy: Floats
    norm: Floats
    spectrum: Floats
    ranks: NDArray[np.intp]
    flags: tuple[str, ...]


def of_adapters(dataset: xr.Dataset, some: NDArray[np.intp]) -> dict[int, OfAdapter]:
    """Those at the positions ``some``, by position."""
    of = dataset[["entropy", "norm", "participation", "spectrum"]].isel(source=some)
    arrays = {str(name): array.values for name, array in of.data_vars.items()}  # [L, some, ...]
    starts = as_lines(dataset.attrs["starts"])
    found = {}
    for column, i in enumerate(some.tolist()):
        norm, spectrum = arrays["norm"][:, column], np.nan_to_num(arrays["spectrum"][:, column])
        flags = adapter_flags(norm, arrays["participation"][:, column], starts[i])
        found[i] = OfAdapter(arrays["entropy"][:, column], norm, spectrum, (spectrum > 0).sum(-1), flags)
    return found


class Baseline:
    """Values with the layers shifted, of the pairs that have them."""

    def __init__(self, dataset: xr.Dataset) -> None:
        names = ("shifted_captured", "shifted_rec", "shifted_captured_cut", "captured_cut")
        self.arrays: dict[str, Floats] = {}
        self.row: dict[tuple[int, int], int] = {}
        if "pair" in dataset.dims:
            self.arrays = {name: dataset[name].values for name in names}
            ends = (dataset[name].values.tolist() for name in ("pair_source", "pair_target"))
            self.row = {pair: row for row, pair in enumerate(zip(*ends, strict=True))}

    def of(self, i: int, j: int) -> dict[str, OtherLayers]:
        """Of ``captured`` and ``rec``."""
        if (i, j) not in self.row:
            return {"captured": NONE, "rec": NONE}
        return {"captured": self.against("shifted_captured", i, j), "rec": self.against("shifted_rec", i, j)}

    def cut(self, i: int, j: int) -> tuple[Floats | None, OtherLayers]:
        """Captured by module with both cut to the smaller rank, and pooled against other layers; None if not cut."""
        captured = self.arrays["captured_cut"][self.row[i, j]] if (i, j) in self.row else np.array([np.nan])
        if np.isnan(captured).all():
            return None, NONE
        return captured, self.against("shifted_captured_cut", i, j)

    def against(self, name: str, i: int, j: int) -> OtherLayers:
        values = self.arrays[name][self.row[i, j]]
        return other_layers(values[0], values[1:], logarithm=name != "shifted_rec")
