"""Adapters that others hold: what could be pruned, and what that saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import TaskvecError
from .kept import kept

BYTES = 2  # of a number of a factor as 16-bit floats


@dataclass(frozen=True)
class Held:
    """An adapter that is redundant next to another.

    Attributes:
        name: of it.
        captured: the share of it that the other holds.
        back: the share of the other that it holds.
        bytes: of its factors as 16-bit numbers.
    """

    name: str
    captured: float
    back: float
    bytes: int


@dataclass(frozen=True)
class Redundant:
    """One adapter that is kept, and those that it holds, the most first."""

    name: str
    holds: tuple[Held, ...] = field(default=())

    @property
    def saved(self) -> int:
        return sum(one.bytes for one in self.holds)


def redundancy(dataset: xr.Dataset, at: float) -> list[Redundant]:
    """Which adapters to keep so that every other is held by one of them to a share of at least ``at``.

    Greedy: the adapter that holds most others is kept and those are left out, until none holds another. A pair that
    hold each other are duplicates.

    Args:
        dataset: a result for one λ.
        at: a share, 0 < at ≤ 1.

    Returns:
        Those that hold others, the one that saves most first.

    Cost:
        One pass over ``captured``; 24 bytes a pair that reaches ``at``.
    """
    if not 0 < at <= 1:
        raise TaskvecError("--at is no share", got=f"{at:g}", expected="more than 0 and at most 1")
    pairs = kept(dataset)
    edges: dict[int, dict[int, float]] = {i: {} for i in range(pairs.adapters)}
    back: dict[tuple[int, int], float] = {}
    for part in pairs.parts(["captured"]):
        there, other = part.there["captured"], part.back["captured"]
        for p in np.flatnonzero((there >= at) | (other >= at)):
            i, j = int(part.source[p]), int(part.target[p])
            back[j, i], back[i, j] = float(there[p]), float(other[p])
            for one, two, share in ((i, j, there[p]), (j, i, other[p])):
                if share >= at:
                    edges[one][two] = float(share)
    sizes, found = factor_bytes(dataset), []
    for keeper, held in cover(edges):
        holds = tuple(
            Held(str(pairs.names[j]), edges[keeper][j], back[keeper, j], int(sizes[j]))
            for j in sorted(held, key=lambda j: (-edges[keeper][j], j))
        )
        found.append(Redundant(str(pairs.names[keeper]), holds))
    return sorted(found, key=lambda one: (-one.saved, one.name))


def cover(edges: dict[int, dict[int, float]]) -> list[tuple[int, list[int]]]:
    """Keepers with what they hold; none of the held is a keeper, and none is held twice."""
    left, found = {i: set(held) for i, held in edges.items() if held}, []
    while left:
        keeper = min(left, key=lambda i: (-len(left[i]), -sum(edges[i][j] for j in left[i]), i))
        held = left.pop(keeper)
        found.append((keeper, sorted(held)))
        for gone in held:
            left.pop(gone, None)
        for i in list(left):
            left[i] -= held | {keeper}
            if not left[i]:
                del left[i]
    return found


def factor_bytes(dataset: xr.Dataset) -> NDArray[np.float64]:
    """Of every adapter: r (m + n) numbers a module, as 16-bit floats."""
    rank = (np.nan_to_num(dataset["spectrum"].values) > 0).sum(-1)  # [L, N]
    size: NDArray[np.float64] = (rank * (dataset["rows"] + dataset["columns"]).values[:, None]).sum(0) * BYTES
    return size


def as_document(groups: Sequence[Redundant]) -> list[dict[str, object]]:
    return [
        {
            "keep": group.name,
            "holds": [
                {"name": one.name, "captured": one.captured, "captured_back": one.back, "bytes": one.bytes}
                for one in group.holds
            ],
            "bytes_saved": group.saved,
        }
        for group in groups
    ]
