"""Numbers of ordered pairs from CSV files: what adapters do on each other's tasks, and metrics of other makers."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import TaskvecError

COLUMNS = ("source", "target", "behaviour")


@dataclass(frozen=True)
class PairValues:
    """One number for each of P ordered pairs: positions of adapters, and the values of each column by name."""

    source: NDArray[np.intp]
    target: NDArray[np.intp]
    values: Mapping[str, NDArray[np.float64]]


def read_behaviour(path: Path, names: Sequence[str], groups: Mapping[str, str] | None = None) -> PairValues:
    """From columns source, target and behaviour: the share of what target's own training gained that source gives.

    Args:
        path: of the file; other columns are left out, and so are pairs of an adapter with itself.
        names: of the adapters of the result.
        groups: of adapters; a target that is the name of a group is every adapter of it.

    Raises:
        TaskvecError: as ``read_pairs``.
    """
    return read_pairs(path, names, COLUMNS[2:], groups)


def read_pairs(
    path: Path, names: Sequence[str], columns: Sequence[str] | None = None, groups: Mapping[str, str] | None = None
) -> PairValues:
    """Numbers of ordered pairs; an empty cell is NaN.

    Args:
        path: a CSV file with the columns source, target, and others.
        names: of the adapters of the result.
        columns: those that are read; None: all of them.
        groups: as for ``read_behaviour``.

    Raises:
        TaskvecError: no such file or columns, an adapter that is not in the result, a cell that is no number, or a
            pair that comes twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            header = list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TaskvecError(f"cannot be read as CSV ({error})", where=path) from error
    wanted = [name for name in header if name not in COLUMNS[:2]] if columns is None else list(columns)
    if missing := [name for name in (*COLUMNS[:2], *wanted) if name not in header] or [] if wanted else ["a column"]:
        expected = ", ".join((*COLUMNS[:2], *(wanted or ["and a metric"])))
        raise TaskvecError(
            f"does not have the column {missing[0]}", where=path, got=", ".join(header), expected=expected
        )
    position = {name: i for i, name in enumerate(names)}
    members: dict[str, list[int]] = {}
    for name, group in (groups or {}).items():
        members.setdefault(group, []).append(position[name])
    found: dict[tuple[int, int], list[float]] = {}
    for line, row in enumerate(rows, start=2):
        for name, known in ((row["source"], position), (row["target"], position | members)):
            if name not in known:
                some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
                what = f"line {line}: the result has no such adapter"
                raise TaskvecError(what, where=path, got=repr(name), expected=some)
        values = [number(row[name], f"line {line}: {name}", path) for name in wanted]
        i = position[row["source"]]
        for j in members.get(row["target"], [position.get(row["target"], -1)]):
            if (i, j) in found:
                what = f"line {line}: the pair {names[i]} → {names[j]} comes twice"
                raise TaskvecError(what, where=path, fix="remove one line")
            if i != j:
                found[i, j] = values
    ends = np.array(list(found), np.intp).reshape(-1, 2)
    table = np.array(list(found.values()), np.float64).reshape(-1, len(wanted))
    return PairValues(ends[:, 0], ends[:, 1], {name: table[:, k] for k, name in enumerate(wanted)})


def number(text: str | None, what: str, path: Path) -> float:
    try:
        return float(text) if text else np.nan
    except ValueError as error:
        raise TaskvecError(f"{what} is no number", where=path, got=repr(text)) from error
