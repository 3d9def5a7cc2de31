"""Rows for people and for programs: the machine's limits, and a table of strings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any

from .machine import machine_name
from .rows import LIMIT, Row
from .run import Outcome

OURS = "ours/cpu"
COLUMNS = ("provider", "ms (min)", "median", "× ours", "share", "of", "peak MiB")
NUMBERS = COLUMNS[1:5] + COLUMNS[6:]

Limits = dict[str, dict[str, float]]


def limits(rows: Iterable[Row]) -> Limits:
    """By number of threads: flop a second of "float32" and "float64" products, bytes a second of a "copy"."""
    found: Limits = {}
    for row in rows:
        if row.function == LIMIT:
            found.setdefault(str(row.threads), {})[row.variant] = max(row.flop, row.bytes) / row.min
    return found


def threads(rows: Iterable[Row]) -> int:
    """That a call of no case of its own number has; 0 without rows."""
    return max((row.threads for row in rows), default=0)


def document(outcome: Outcome) -> dict[str, Any]:
    """What ``taskvec bench --json`` prints; times in seconds, memory in MiB."""
    return {
        "machine": {"name": machine_name(), "threads": threads(outcome.rows), **outcome.machine},
        "limits": limits(outcome.rows),
        "rows": [asdict(row) for row in outcome.rows],
        "refused": [asdict(item) for item in outcome.refused],
        "left_out": [{"package": package, "providers": names} for package, names in outcome.left_out.items()],
        "stopped": outcome.stopped or None,
    }


def title(outcome: Outcome) -> Iterator[str]:
    """The machine, what it was measured with, and what the machine can do at most."""
    about: Mapping[str, str] = outcome.machine
    yield f"{about['processor']}, {threads(outcome.rows)} threads, SIMD level {about['simd'] or 'none'}"
    at = f" at {about['commit']}" if about["commit"] else ""
    yield f"taskvec-kernels {about['version']}{at}, torch {about['torch']}, Python {about['python']}"
    for count, rates in limits(outcome.rows).items():
        said = [
            f"{rates[kind] / 1e9:.3g} {unit}"
            for kind, unit in (("float32", "GFLOP/s fp32"), ("float64", "GFLOP/s fp64"), ("copy", "GB/s copied"))
            if kind in rates
        ]
        yield f"limits by torch, {count} thread{'' if count == '1' else 's'}: {', '.join(said)}"


def lines(rows: Iterable[Row]) -> Iterator[tuple[str, ...]]:
    """A line for each case and, by time, one for each of its providers; a star where ``computes`` says something."""
    for case, group in groupby((row for row in rows if row.function != LIMIT), key=lambda row: row.case):
        providers = sorted(group, key=lambda row: row.min)
        ours = next((row.min for row in providers if row.provider == OURS), None)
        yield (case, *[""] * (len(COLUMNS) - 1))
        for row in providers:
            yield (
                f"  {row.provider}{'*' if row.computes else ''}",
                milliseconds(row.min),
                milliseconds(row.median),
                f"{row.min / ours:.2f}" if ours else "-",
                "-" if row.share_of_limit is None else f"{row.share_of_limit:.3f}",
                limit(row),
                "-" if row.peak_memory is None else f"{row.peak_memory:.1f}",
            )


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.{3 if seconds < 0.1 else 0}f}"


def limit(row: Row) -> str:
    """Which of the two limits is the nearer."""
    if row.share_of_limit is None:
        return ""
    return "matmul" if row.share_of_limit == row.share_of_matmul else "copy"


def notes(rows: Iterable[Row]) -> list[str]:
    """What the starred providers compute instead, each once."""
    return list(dict.fromkeys(f"* {row.provider}: {row.computes}" for row in rows if row.computes))
