"""Measurements of several processes to rows, and rows to CSV and back."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

SHAPE = ("model", "modules", "N", "m", "n", "r")
LIMIT = "limit"  # the function of the cases that measure the machine itself


@dataclass(frozen=True)
class Sample:
    """What one fresh process measured of one provider: seconds of each round, already divided by ``part``."""

    case: str
    provider: str
    times: tuple[float, ...]
    columns: Mapping[str, Any]  # function, variant, shape, flop, bytes, precision, threads, part, computes
    refused: str = ""  # why there are no times: the result was wrong
    left_out: str = ""  # or what is not installed
    peak_memory: float | None = None  # MiB above the inputs


@dataclass(frozen=True)
class Row:
    """One provider of one case. Times in seconds for the whole case, shares of 1, memory in MiB."""

    case: str
    function: str
    variant: str
    model: str
    modules: int | None
    N: int | None
    m: int | None
    n: int | None
    r: int | None
    provider: str
    computes: str
    unit: str
    min: float
    median: float
    q20: float
    q80: float
    minima: str  # the minimum of each process, by a space
    rounds: int
    part: float
    flop: float
    bytes: float
    precision: str
    share_of_limit: float | None  # the larger of the next two
    share_of_matmul: float | None
    share_of_copy: float | None
    peak_memory: float | None
    threads: int
    simd: str
    processor: str
    cores: str
    python: str
    torch: str
    version: str
    commit: str
    kernels: str
    date: str


def to_rows(samples: Iterable[Sample], shared: Mapping[str, str]) -> list[Row]:
    """One row a case and provider, in the order of the first process; those without times have none."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        if sample.times:
            groups.setdefault((sample.case, sample.provider), []).append(sample)
    rates = limits(groups.values())
    return [to_row(group, rates, shared) for group in groups.values()]


def limits(groups: Iterable[Sequence[Sample]]) -> dict[tuple[str, int], float]:
    """(kind, threads) → flop or bytes a second, the best of all processes; kinds: float32, float64, copy."""
    rates = {}
    for group in groups:
        columns = group[0].columns
        if columns["function"] == LIMIT:
            best = min(min(sample.times) for sample in group)
            rates[columns["variant"], columns["threads"]] = max(columns["flop"], columns["bytes"]) / best
    return rates


def to_row(group: Sequence[Sample], rates: Mapping[tuple[str, int], float], shared: Mapping[str, str]) -> Row:
    named: dict[str, Any] = {**group[0].columns, **shared}
    columns = group[0].columns
    times = sorted(time for sample in group for time in sample.times)
    minima = [min(sample.times) for sample in group]
    matmul = share(columns["flop"], rates.get((columns["precision"], columns["threads"])), times[0])
    copy = share(columns["bytes"], rates.get(("copy", columns["threads"])), times[0])
    shares = [value for value in (matmul, copy) if value is not None]
    return Row(
        case=group[0].case,
        provider=group[0].provider,
        unit="s",
        min=times[0],
        median=statistics.median(times),
        q20=quantile(times, 0.2),
        q80=quantile(times, 0.8),
        minima=" ".join(f"{value:.6g}" for value in minima),
        rounds=len(times),
        share_of_limit=max(shares) if shares else None,
        share_of_matmul=matmul,
        share_of_copy=copy,
        peak_memory=next((s.peak_memory for s in group if s.peak_memory is not None), None),
        **named,
    )


def share(amount: float, rate: float | None, time: float) -> float | None:
    return amount / rate / time if amount and rate else None


def quantile(ordered: Sequence[float], at: float) -> float:
    """Of sorted values, linear between neighbours."""
    place = at * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    """Written beside ``path`` and renamed, so that a stop leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows({name: text(value) for name, value in asdict(row).items()} for row in rows)
    temporary.replace(path)


def text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def read_csv(path: Path) -> list[Row]:
    """Raises ValueError where a column is missing or is not what ``write_csv`` writes."""
    readers: dict[str, Any] = {"int": int, "float": float, "str": str}
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    rows = []
    for line in lines:
        values: dict[str, Any] = {}
        for field in fields(Row):
            kind, _, optional = str(field.type).partition(" | ")
            if field.name not in line:
                raise ValueError(f"{path}: no column {field.name}")
            value = line[field.name]
            values[field.name] = None if optional and value == "" else readers[kind](value)
        rows.append(Row(**values))
    return rows


def merged(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Rows of a partial run in the place of those of the same cases; what was not run is kept."""
    new = list(new)
    cases = {row.case for row in new}
    return [row for row in old if row.case not in cases] + new
