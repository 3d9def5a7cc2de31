"""A list of pairs instead of all: compared exactly, a few adapters at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..chance.significance import Negative
from ..ledger.arrays import Part
from ..store.entry import MEMORY_BYTES
from ..store.factors import Factors
from .collect import Adds, OfSources
from .options import Options
from .plan import Plan, Unit, blocks_of
from .reduce import Reduced
from .work import Work

SIDE = 64  # adapters along a tile of pairs
ENDS = ("listed_source", "listed_target")
Pairs = NDArray[np.intp]  # (P, 2), source < target
Values = dict[str, NDArray[Any]]  # (..., P) by name


def tiles(plan: Plan, pairs: Pairs, group: int = 0) -> Iterator[Unit]:
    """Units of SIDE × SIDE adapters and all modules that have these pairs, each once."""
    pairs = np.unique(pairs, axis=0)  # sorted
    place = pairs // SIDE
    number = place[:, 0] * (len(plan.entries) // SIDE + 1) + place[:, 1]
    order = np.argsort(number, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(pairs) else ():
        row, column = map(int, place[rows[0]])
        sources, targets = (range(i * SIDE, min((i + 1) * SIDE, len(plan.entries))) for i in (row, column))
        listed = pairs[rows].astype("<i4").tobytes()
        yield Unit(group, range(len(plan.modules)), sources, targets, row, column, listed)


def pairs_of(unit: Unit) -> Pairs:
    """The pairs that a unit lists."""
    return np.frombuffer(unit.listed, "<i4").reshape(-1, 2).astype(np.intp)


def tile_work(
    unit: Unit,
    plan: Plan,
    factors: Factors,
    options: Options,
    *,
    several: bool = False,
    memory: int = MEMORY_BYTES,
    known: OfSources | None = None,
) -> Work:
    """Of the pairs that a unit lists: what their modules come to, as ``--keep reduced`` has it.

    Args:
        unit: of ``tiles``.
        plan: of the zoo.
        factors: of the adapters of the plan.
        options: how pairs are compared.
        several: λ is a dimension of the values.
        memory: bytes for the factors and results of a block.
        known: gets what belongs to the adapters.

    Returns:
        Its parts are variables (..., 2 P), and ENDS: every pair, then every pair the other way.

    Cost:
        That of the pairs and of others between the adapters of the tile, which are read once.
    """
    pairs = pairs_of(unit)
    reduced = Reduced(plan, unit, options, several)
    sources, targets = (np.unique(pairs[:, end]).tolist() for end in (0, 1))
    if unit.diagonal:  # a block within itself, or none that is
        sources = targets = np.unique(pairs).tolist()
    results = len(options.metrics) * len(options.solver.lams)
    blocks = tuple(blocks_of(plan.entries, plan.modules, sources, targets, results=results, memory=memory))
    into: list[Adds] = [reduced] if known is None else [reduced, known]
    return Work(unit, blocks, factors, options, into, lambda: parts_of(listed(unit, reduced)))


def listed(unit: Unit, reduced: Reduced) -> Values:
    """What a tile has of the pairs that it lists."""
    pairs = pairs_of(unit)
    i, j = pairs[:, 0] - unit.sources.start, pairs[:, 1] - unit.targets.start
    there = reduced.values(reduced.there)
    back = there if unit.diagonal else reduced.values(reduced.back)
    found = {name: np.concatenate([there[name][..., i, j], back[name][..., j, i]], axis=-1) for name in there}
    ends = np.concatenate([pairs, pairs[:, ::-1]]).astype(np.int32)
    return {ENDS[0]: ends[:, 0], ENDS[1]: ends[:, 1], **found}


def parts_of(values: Values) -> list[Part]:
    """A list as the parts of a unit."""
    return [Part(name, (0,), one) for name, one in values.items()]


def values_of(parts: Iterable[Part]) -> Values:
    """The list that a unit's parts are."""
    return {part.array: part.values for part in parts}


def joined(lists: Iterable[Values]) -> Values:
    """One list, sorted by source and target: NaN in the older ones where later ones have more layers or kinds."""
    parts = [values for values in lists if values]
    found = {name: concatenated([values[name] for values in parts]) for name in (parts[0] if parts else ())}
    if not found:
        return {}
    order = np.lexsort((found[ENDS[1]], found[ENDS[0]]))
    return {name: one[..., order] for name, one in found.items()}


def concatenated(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Along the last axis; the others are as long as the longest."""
    longest = np.max([one.shape[:-1] for one in arrays], axis=0).astype(int).tolist()
    found = []
    for one in arrays:
        missing = [(0, most - size) for most, size in zip(longest, one.shape[:-1], strict=True)]
        found.append(np.pad(one, [*missing, (0, 0)], constant_values=np.nan) if np.any(missing) else one)
    return np.concatenate(found, axis=-1)


def negative_of(values: Mapping[str, NDArray[Any]], rows: NDArray[Any] | slice = slice(None)) -> Values:
    """What σ₀ needs of some of the pairs, by λ where that is a dimension: ``negative_z``, ``negative_z_squares``."""
    if "rec_z_raw" not in values:
        return {}
    z = values["rec_z_raw"][..., rows]
    found = [Negative() for _ in range(len(z) if z.ndim > 1 else 1)]
    for one, of_lam in zip(found, np.atleast_2d(z), strict=True):
        one.add(of_lam)
    shape = z.shape[:-1]
    return {
        "negative_z": np.array([one.count for one in found], np.int64).reshape(shape),
        "negative_z_squares": np.array([one.squares for one in found]).reshape(shape),
    }
