"""Numbers between adapters, or between tiles of adapters, of whatever a result keeps and however large it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import TaskvecError
from ..queries.kept import SIDE, Listed
from .view import View

Ends = NDArray[np.intp]
Floats = NDArray[np.float32]
CHUNK = 2**22  # cells that are read at once


def cells(
    view: View,
    metric: str,
    order: Ends,
    rows: Ends,
    columns: Ends,
    kind: str | None = None,
    layers: tuple[int, int] | None = None,
) -> Floats:
    """Means over the pairs of two units: (rows − 1, columns − 1), NaN where there is none.

    Args:
        view: of the result.
        metric: captured, rec, above_chance, cosine, q, or asymmetry: captured less that of the other direction.
        order: (N,) of the adapters.
        rows: ends of units in ``order``, of sources.
        columns: of targets.
        kind: modules of this kind alone.
        layers: of layers first ≤ layer < last alone.

    Raises:
        TaskvecError: modules of more adapters than are held in memory.
    """
    if metric == "asymmetry":
        there = cells(view, "captured", order, rows, columns, kind, layers)
        return there - cells(view, "captured", order, columns, rows, kind, layers).T
    if kind is None and layers is None:
        if not view.in_memory:
            return read(view, metric, order, rows, columns)
        whole = view.square(metric)
    else:
        if not view.in_memory:
            what = "kinds and layers are asked for of no more adapters than are in memory"
            raise TaskvecError(what, got=str(len(view.names)), fix="taskvec query --kind and --layers")
        whole = view.square_of(metric, kind, layers)
    inside = whole[np.ix_(order[rows[0] : rows[-1]], order[columns[0] : columns[-1]])]
    return tile_means(inside, rows - rows[0], columns - columns[0])


def tile_means(values: Floats, rows: Ends, columns: Ends) -> Floats:
    """(A, B) to (rows − 1, columns − 1)."""
    if values.shape == (len(rows) - 1, len(columns) - 1):
        return values
    sums, counts = (
        np.add.reduceat(np.add.reduceat(x, rows[:-1], axis=0), columns[:-1], axis=1)
        for x in (np.nan_to_num(values), (~np.isnan(values)).astype(np.float32))
    )
    means: Floats = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return means


def read(view: View, metric: str, order: Ends, rows: Ends, columns: Ends) -> Floats:
    """The same of a result that is not in memory: a strip of rows at a time, or its list of pairs."""
    if isinstance(view.pairs, Listed):
        return of_list(view, metric, order, rows, columns)
    if view.every_module:
        what = "a result that keeps every module of this many adapters has no matrix here"
        raise TaskvecError(what, got=str(len(view.names)), fix="sweep with --keep reduced")
    some = order[columns[0] : columns[-1]]
    step = max(1, CHUNK // len(some))
    sums, counts = (np.zeros((len(rows) - 1, len(columns) - 1), np.float32) for _ in range(2))
    for start in range(rows[0], rows[-1], step):
        strip = np.arange(start, min(start + step, rows[-1]))
        values = strip_of(view, metric, order[strip], some)
        unit = np.searchsorted(rows, strip, side="right") - 1
        first = np.flatnonzero(np.diff(unit, prepend=-1))
        for x, out in ((np.nan_to_num(values), sums), ((~np.isnan(values)).astype(np.float32), counts)):
            by_column = np.add.reduceat(x, columns[:-1] - columns[0], axis=1)
            out[unit[first]] += np.add.reduceat(by_column, first, axis=0)
    means: Floats = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return means


def strip_of(view: View, metric: str, source: Ends, target: Ends) -> Floats:
    """(source, target) of a result that keeps every pair; NaN of an adapter and itself."""
    names = {"above_chance": ("rec", "rec_chance"), "q": ("rec_z_raw",)}.get(metric, (metric,))
    found = [np.empty((len(source), len(target)), np.float32) for _ in names]
    # sorted indexers read each chunk once
    rows, back = np.unique(source, return_inverse=True)
    others, turned = np.unique(target, return_inverse=True)
    for low in range(0, len(others), SIDE):
        part = view.dataset[list(names)].isel(source=rows, target=others[low : low + SIDE])
        for out, name in zip(found, names, strict=True):
            out[:, low : low + SIDE] = part[name].values
    found = [out[back][:, turned] for out in found]
    values = found[0] - found[1] if metric == "above_chance" else found[0]
    if metric == "q":
        values = view.significance.columns(values)["q"].astype(np.float32)
    values[source[:, None] == target] = np.nan
    return values


def of_list(view: View, metric: str, order: Ends, rows: Ends, columns: Ends) -> Floats:
    """Of a result that lists its pairs: means over those that it lists."""
    number = {"above_chance": "rec - rec_chance"}.get(metric, metric)
    found = view.database.frame(
        f"SELECT source_at, target_at, {number} AS value FROM pair_rows WHERE value IS NOT NULL"
    )
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    source, target = (place[found[end].to_numpy()] for end in ("source_at", "target_at"))
    inside = (source >= rows[0]) & (source < rows[-1]) & (target >= columns[0]) & (target < columns[-1])
    shape = (len(rows) - 1, len(columns) - 1)
    row, column = (
        np.searchsorted(ends, at[inside], side="right") - 1 for ends, at in ((rows, source), (columns, target))
    )
    cell = row * shape[1] + column
    sums = np.bincount(cell, found["value"].to_numpy()[inside], minlength=shape[0] * shape[1])
    counts = np.bincount(cell, minlength=len(sums))
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    tiles: Floats = means.reshape(shape).astype(np.float32)
    return tiles
