"""Samples of several processes to rows, and rows to CSV and back."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cases import CASES
from ..cases.limits import LIMIT

# times in seconds for the whole case (minima: of each process), shares of 1, memory in MiB above the inputs
COLUMNS = [
    "case",
    "function",
    "variant",
    "device",
    "model",
    "modules",
    "N",
    "m",
    "n",
    "r",
    "provider",
    "computes",
    "unit",
]
COLUMNS += ["min", "median", "q20", "q80", "minima", "rounds", "part", "flop", "bytes", "precision"]
COLUMNS += ["share_of_limit", "share_of_matmul", "share_of_copy", "peak_memory", "threads"]
COLUMNS += ["simd", "processor", "cores", "python", "torch", "version", "commit", "kernels", "date"]
INTEGERS = {"modules", "N", "m", "n", "r", "rounds", "threads"}
NUMBERS = {name for name in COLUMNS if name.startswith(("q", "share_"))}
NUMBERS |= {"min", "median", "part", "flop", "bytes", "peak_memory"}

Key = tuple[str, str]  # names of a case and of its provider
Row = dict[str, Any]  # by COLUMNS


@dataclass
class Sample:
    """What one fresh process found of one provider: seconds of each round, or why there are none."""

    case: str
    provider: str
    threads: int = 1
    times: Sequence[float] = ()
    refused: str = ""  # the result is wrong, or there is none
    left_out: str = ""  # the module that is not installed
    peak_memory: float | None = None


Samples = Mapping[Key, Sequence[Sample]]  # with times, one a process


def limits(samples: Samples) -> dict[tuple[str, int], float]:
    """(float16, float32, float64 or copy; threads) → flop or bytes a second, the best that torch did."""
    rates = {}
    for (name, _), found in samples.items():
        case = CASES[name]
        if case.function == LIMIT:
            best = min(min(sample.times) for sample in found)
            rates[case.variant, found[0].threads] = max(case.flop, case.bytes) / best
    return rates


def to_row(key: Key, samples: Samples, machine: Mapping[str, str]) -> Row:
    case, way, found, rates = CASES[key[0]], CASES[key[0]].providers[key[1]], samples[key], limits(samples)
    times, threads = sorted(time for sample in found for time in sample.times), found[0].threads
    fifths = statistics.quantiles(times, n=5, method="inclusive") if len(times) > 1 else times * 4
    matmul = share(case.flop, rates.get((case.precision, threads)), times[0])
    copy = share(case.bytes, rates.get(("copy", threads)), times[0])
    row: Row = dict.fromkeys(COLUMNS) | {name: value for name, value in case.shape.items() if name in COLUMNS}
    row |= {"case": case.name, "function": case.function, "variant": case.variant, "device": case.device}
    row |= {"model": row["model"] or "", "provider": key[1], "computes": way.computes, "part": way.part, "unit": "s"}
    row |= {"min": times[0], "median": statistics.median(times), "q20": fifths[0], "q80": fifths[-1]}
    row |= {"minima": " ".join(f"{min(sample.times):.6g}" for sample in found), "rounds": len(times)}
    row |= {"flop": float(case.flop), "bytes": float(case.bytes), "precision": case.precision, "threads": threads}
    row |= {"share_of_limit": max((x for x in (matmul, copy) if x), default=None)}
    row |= {"share_of_matmul": matmul, "share_of_copy": copy, "peak_memory": found[0].peak_memory}
    return row | dict(machine)


def share(amount: float, rate: float | None, time: float) -> float | None:
    return amount / rate / time if amount and rate else None


def read_csv(path: Path) -> dict[Key, Row]:
    """Of two rows with one key the later. Raises ValueError for what ``write_csv`` does not write."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise ValueError(f"{path} has no column {missing[0]}")
        return {(row["case"], row["provider"]): {name: value(name, row[name]) for name in COLUMNS} for row in reader}


def value(name: str, text: str) -> str | float | None:
    kind = int if name in INTEGERS else float if name in NUMBERS else str
    return None if text == "" and kind is not str else kind(text)


def append_csv(path: Path, row: Row) -> None:
    """One row is in the file, whatever happens next; ``read_csv`` takes it in the place of an earlier one."""
    if not path.exists():
        write_csv(path, [])
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, COLUMNS).writerow(text(row))


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    """Written next to ``path`` and renamed, so that a stop leaves the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(map(text, rows))
    part.replace(path)


def text(row: Row) -> Row:
    return {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
