"""A list of pairs instead of all: compared exactly, a few adapters at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..ledger.arrays import Part
from ..progress import Advance
from ..store.entry import MEMORY_BYTES
from ..store.factors import Factors
from .collect import OfSources
from .compute import compute
from .keep import Keep
from .layout import MEANINGS, SOURCE, coordinates_of, pair_dimensions
from .options import Options
from .plan import Plan, blocks_of
from .reduce import Reduced

SIDE = 64  # adapters along a tile of pairs
REDUCED = Keep("reduced")
Pairs = NDArray[np.intp]
Values = dict[str, NDArray[np.generic]]


def both_ways_of(pairs: Pairs) -> Pairs:
    """Ordered pairs (2 n, 2) of unordered ones (n, 2), sorted by source and target."""
    both = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    return both.astype(np.intp)


def compare_listed(
    plan: Plan,
    listed: Pairs,
    factors: Factors,
    options: Options,
    *,
    several: bool = False,
    memory: int = MEMORY_BYTES,
    known: OfSources | None = None,
    advance: Advance = lambda steps: None,
) -> Values:
    """What the modules of listed pairs come to, as ``--keep reduced`` has it.

    Args:
        plan: of the zoo.
        listed: (P, 2) sources and targets, each pair both ways, sorted.
        factors: of the adapters of the plan.
        options: how pairs are compared.
        several: λ is a dimension of the values.
        memory: bytes for the factors and results of a block.
        known: gets what belongs to the adapters.
        advance: told of ordered pairs.

    Returns:
        By variable (..., P).

    Cost:
        That of the pairs and of others between the adapters of a tile of 64 × 64, which are read once a tile.
    """
    tiles = replace(plan, side=SIDE, group=0)
    place = listed // SIDE
    number = place[:, 0] * (len(plan.entries) // SIDE + 1) + place[:, 1]
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    rows_of = {tuple(place[rows[0]].tolist()): rows for rows in np.split(order, starts)[1:]}
    found: Values = {}
    for unit in tiles.units():
        rows = rows_of.get((unit.row, unit.column))
        if rows is None:
            continue
        into = Reduced(tiles, unit, options.metrics, len(options.solver.lams), several)
        sources, targets = (np.unique(listed[rows, end]).tolist() for end in (0, 1))
        results = len(options.metrics) * len(options.solver.lams)
        for block in blocks_of(plan.entries, plan.modules, sources, targets, results=results, memory=memory):
            result = compute(block, factors, options)
            into.add(block, result)
            if known is not None:
                known.add(block, result)
        there = {(unit.row, unit.column): rows, (unit.column, unit.row): rows_of[unit.column, unit.row]}
        for part in into.parts():
            i, j = part.start[-2:]
            some = there[i // SIDE, j // SIDE]
            values = part.values[..., listed[some, 0] - i, listed[some, 1] - j]
            if part.array not in found:
                found[part.array] = np.empty((*values.shape[:-1], len(listed)), values.dtype)
            found[part.array][..., some] = values
        advance(sum(map(len, there.values())))
    return found


def listed_dataset(
    plan: Plan, listed: Pairs, values: Mapping[str, NDArray[np.generic]], of_sources: list[Part], options: Options,
    *, several: bool = False,
) -> xr.Dataset:  # fmt: skip
    """The result: dimension ``listed`` in place of source and target of a pair; ``of_sources`` as units have it."""
    lams = options.solver.lams if several else None
    found = coordinates_of(plan, REDUCED, lams)
    for name, dims in pair_dimensions(options.metrics, REDUCED, several).items():
        if name in values:
            found[name] = ((*dims[:-2], "listed"), values[name], {"long_name": MEANINGS[name]})
    for end, column in (("source", 0), ("target", 1)):
        about = {"long_name": f"position of the {end} of a pair that is listed"}
        found[f"listed_{end}"] = ("listed", listed[:, column].astype(np.int32), about)
    for part in of_sources:
        found[part.array] = (dims_of_source(part), part.values, {"long_name": MEANINGS[part.array]})
    return found


def dims_of_source(part: Part) -> tuple[str, ...]:
    return (*SOURCE, "component")[: part.values.ndim]
