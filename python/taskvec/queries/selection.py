"""Which pairs of a result are shown, and in which order; rows are made of these alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from numpy.typing import NDArray

from ..chance.significance import Correction
from ..errors import TaskvecError
from .kept import SHARES, Floats, Kept, Part, kept
from .ranking import STORED, Significance, check, frame

# what a ranking can be in the order of; True: the smallest first
ORDERS = dict.fromkeys((*SHARES, "rec", "rec_z_raw", "rec_z", "excess", "cosine"), False) | dict.fromkeys(
    ("p", "q", "l1"), True
)
OF_SIGNIFICANCE = ("rec_z", "p", "q")


@dataclass(frozen=True)
class Selection:
    """What is asked for.

    Attributes:
        order: a column of the ranking, the best first.
        min_captured: pairs of less are left out; the direction that comes first in the order counts.
        max_q: pairs of more, or without a q, are left out.
        top: pairs from each end; None: all.
        group: the one of ``groups_of_bases`` that both adapters are of; None: any.

    Raises:
        TaskvecError: an order that does not exist, or fewer than one pair.
    """

    order: str = "captured"
    min_captured: float | None = None
    max_q: float | None = None
    top: int | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise TaskvecError(f"no order {self.order!r}", expected=f"one of {', '.join(ORDERS)}")
        if self.top is not None and self.top < 1:
            raise TaskvecError("the number of pairs must be at least 1", got=str(self.top))

    def before_sigma0(self) -> Selection:
        """The same while z, p and q are not known: z_S has their order."""
        return replace(self, order="rec_z_raw" if self.order in OF_SIGNIFICANCE else self.order, max_q=None)


@dataclass(frozen=True)
class Selected:
    """The pairs that are shown, both directions of each.

    Attributes:
        rows: of the ranking, two for each pair: first the direction that comes first in the order.
        gap: pairs before those that are left out in the middle; None where none are.
        between: how many those are.
        filtered: pairs that ``min_captured`` or ``max_q`` left out.
        apart: pairs that have no module in common.
        absent: pairs that the result does not keep.
        sigma0: of the sweep; NaN where it is not known.
        group: that both adapters of a pair are of, by their base model; None: any.
        adapters: of the group, or of the result.
    """

    rows: pd.DataFrame
    gap: int | None
    between: int
    filtered: int
    apart: int
    absent: int
    sigma0: float
    group: str | None
    adapters: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names of source and target of each pair."""
        first = self.rows.iloc[::2]
        return list(zip(first["source"], first["target"], strict=True))


def select(dataset: xr.Dataset, selection: Selection | None = None, correction: Correction = "bh") -> Selected:
    """The pairs of a result for one λ that are shown.

    Args:
        dataset: from ``sweep``, or ``open_result`` of its folder; must have ``captured`` and ``rec``.
        selection: None: every pair, the one that holds most first.
        correction: of q, over all pairs of the sweep, shown or not.

    Raises:
        TaskvecError: the dataset is no sweep, or it was made without "captured" or "rec".

    Cost:
        Two passes over what the order and z_S need, in tiles; 16 bytes an ordered pair, and the rows that are shown.
    """
    check(dataset)
    wanted = selection or Selection()
    pairs = kept(dataset)
    significance = Significance.of(pairs, correction)
    key = order_key(wanted.order, significance)
    needed = {"captured", "used", "rec_z_raw" if wanted.order in OF_SIGNIFICANCE else wanted.order}
    needed |= {"rec_z_raw"} if wanted.max_q is not None else set()
    ends, within, known, asked = Ends(wanted.top), 0, 0, 0
    of_group = np.ones(pairs.adapters, bool) if wanted.group is None else dataset["source_group"].values == wanted.group
    for part in pairs.parts(sorted(needed)):
        first, of_key, place = first_directions(part, key, pairs.adapters)
        inside = of_group[part.source] & of_group[part.target]
        there = inside & (first["used"] > 0)
        within += int(inside.sum())
        known += int(there.sum())
        if wanted.min_captured is not None:
            there &= first["captured"] >= wanted.min_captured
        if wanted.max_q is not None:
            there &= significance.columns(first["rec_z_raw"])["q"] <= wanted.max_q
        asked += int(there.sum())
        ends.add(of_key[there], last_if_nan(-first["captured"])[there], place[there])
    place = ends.place
    names = tuple(pairs.names[of_group].tolist())
    every = len(names) * (len(names) - 1) // 2
    between = asked - len(place)
    return Selected(
        rows=rows_of(pairs, place, significance),
        gap=wanted.top if between else None,
        between=between,
        filtered=known - asked,
        apart=within - known,
        absent=every - within,
        sigma0=significance.sigma0,
        group=wanted.group,
        adapters=names,
    )


def groups_of_bases(dataset: xr.Dataset) -> tuple[str | None, ...]:
    """The groups of a result's adapters, the first adapter's first; (None,) unless two are of several adapters."""
    counts = Counter(dataset["source_group"].values.tolist() if "source_group" in dataset.coords else ())
    return tuple(counts) if sum(count > 1 for count in counts.values()) > 1 else (None,)


def rows_of(pairs: Kept, place: NDArray[np.intp], significance: Significance) -> pd.DataFrame:
    """Both directions of each pair, the one at ``place`` = source · N + target first."""
    ends = np.array(np.divmod(place, pairs.adapters), np.intp)  # [2, P]
    source, target = (np.stack([a, b], axis=1).ravel() for a, b in (ends, ends[::-1]))
    columns = pairs.at(source, target, STORED)
    columns["captured_back"] = columns["captured"].reshape(-1, 2)[:, ::-1].ravel()
    return frame(pairs, source, target, columns, significance)


def order_key(order: str, significance: Significance) -> Callable[[Mapping[str, Floats]], NDArray[np.float64]]:
    """What to sort by, the smallest first and NaN as infinity."""

    def key(columns: Mapping[str, Floats]) -> NDArray[np.float64]:
        if order in OF_SIGNIFICANCE:
            columns = significance.columns(columns["rec_z_raw"])
        return last_if_nan(columns[order] if ORDERS[order] else -columns[order])

    return key


def last_if_nan(values: Floats) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.where(np.isnan(values), np.inf, values).astype(np.float64)
    return found


def first_directions(
    part: Part, key: Callable[[Mapping[str, Floats]], NDArray[np.float64]], adapters: int
) -> tuple[dict[str, Floats], NDArray[np.float64], NDArray[np.intp]]:
    """Of each pair the direction that comes first: its columns, its key, and its place, source · N + target.

    Of two that are alike in the order, the one that holds more comes first.
    """
    there, back = key(part.there), key(part.back)
    more = last_if_nan(-part.back["captured"]) < last_if_nan(-part.there["captured"])
    turned = (back < there) | ((back == there) & more)
    columns = {name: np.where(turned, part.back[name], value) for name, value in part.there.items()}
    ahead, behind = part.source * adapters + part.target, part.target * adapters + part.source
    return columns, np.where(turned, back, there), np.where(turned, behind, ahead)


class Ends:
    """Running first and last ``top`` pairs by key, then by ``less`` (−captured), then by place; all of them for None.

    Attributes:
        key: (n,) sorted, as the others by it.
        less: (n,)
        place: (n,)
    """

    def __init__(self, top: int | None) -> None:
        self.top = top
        self.key, self.less, self.place = np.empty(0), np.empty(0), np.empty(0, np.intp)

    def add(self, key: NDArray[np.float64], less: NDArray[np.float64], place: NDArray[np.intp]) -> None:
        """Pairs (m,)."""
        if self.top is not None and len(key) > 2 * self.top:
            # no more than those that can be among the ends have to be sorted
            at = [self.top - 1, len(key) - self.top]
            low, high = np.partition(key, at)[at]
            some = (key <= low) | (key >= high)
            key, less, place = key[some], less[some], place[some]
        key, less = np.concatenate([self.key, key]), np.concatenate([self.less, less])
        place = np.concatenate([self.place, place])
        order = np.lexsort((place, less, key))
        if self.top is not None and len(order) > 2 * self.top:
            order = np.concatenate([order[: self.top], order[len(order) - self.top :]])
        self.key, self.less, self.place = key[order], less[order], place[order]
