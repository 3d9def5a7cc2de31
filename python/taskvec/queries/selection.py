"""Which pairs of a ranking are shown, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ..errors import TaskvecError
from .ranking import SHARES

# what a ranking can be in the order of; True: the smallest first
ORDERS = dict.fromkeys((*SHARES, "rec", "rec_z_raw", "rec_z", "excess", "cosine"), False) | dict.fromkeys(
    ("p", "q", "l1"), True
)


@dataclass(frozen=True)
class Selection:
    """What is asked for.

    Attributes:
        order: a column of the ranking, the best first.
        min_captured: pairs of less are left out; the direction that comes first in the order counts.
        max_q: pairs of more, or without a q, are left out.
        top: pairs from each end; None: all.

    Raises:
        TaskvecError: an order that does not exist, or fewer than one pair.
    """

    order: str = "captured"
    min_captured: float | None = None
    max_q: float | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise TaskvecError(f"no order {self.order!r}", expected=f"one of {', '.join(ORDERS)}")
        if self.top is not None and self.top < 1:
            raise TaskvecError("the number of pairs must be at least 1", got=str(self.top))

    def before_sigma0(self) -> Selection:
        """The same while z, p and q are not known: z_S has their order."""
        return replace(self, order="rec_z_raw" if self.order in ("rec_z", "p", "q") else self.order, max_q=None)


@dataclass(frozen=True)
class Selected:
    """The pairs that are shown, both directions of each.

    Attributes:
        rows: of the ranking, two for each pair: first the direction that comes first in the order.
        gap: pairs before those that are left out in the middle; None where none are.
        between: how many those are.
        filtered: pairs that ``min_captured`` or ``max_q`` left out.
        apart: pairs that have no module in common.
    """

    rows: pd.DataFrame
    gap: int | None
    between: int
    filtered: int
    apart: int

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names of source and target of each pair."""
        first = self.rows.iloc[::2]
        return list(zip(first["source"], first["target"], strict=True))


def select(ranked: pd.DataFrame, selection: Selection) -> Selected:
    """The pairs of one λ's ranking that are shown."""
    ordered = ranked.sort_values(selection.order, ascending=ORDERS[selection.order], kind="stable", na_position="last")
    pairs = both_directions(ordered)
    first = ordered.iloc[pairs[:, 0]]
    known = first["used"].to_numpy() > 0
    asked = known.copy()
    if selection.min_captured is not None:
        asked &= first["captured"].to_numpy() >= selection.min_captured
    if selection.max_q is not None:
        asked &= first["q"].to_numpy() <= selection.max_q
    some = pairs[asked]
    top = len(some) if selection.top is None else selection.top
    between = max(0, len(some) - 2 * top)
    shown = np.concatenate([some[:top], some[len(some) - top :]]) if between else some
    return Selected(
        rows=ordered.iloc[shown.ravel()],
        gap=top if between else None,
        between=between,
        filtered=int(known.sum() - asked.sum()),
        apart=int((~known).sum()),
    )


def both_directions(ranked: pd.DataFrame) -> NDArray[np.intp]:
    """Positions of the two rows of each unordered pair, (pairs, 2), in the order of the first of the two."""
    codes, names = pd.factorize(pd.concat([ranked["source"], ranked["target"]]))
    ends = np.sort(codes.reshape(2, -1), axis=0)
    order = np.argsort(ends[0] * len(names) + ends[1], kind="stable").reshape(-1, 2)
    return order[np.argsort(order[:, 0])]
