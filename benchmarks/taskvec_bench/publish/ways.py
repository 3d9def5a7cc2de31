"""Rows by case, what they say of each other, and numbers for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..cases.limits import LIMIT
from ..measure.rows import Row

OURS, TORCH = "ours/cpu", "torch/"
Ways = dict[str, Row]  # the rows of one case, by provider


def by_case(rows: Iterable[Row]) -> dict[str, Ways]:
    """Case → provider → row, in the order of ``rows``; without the machine's limits."""
    cases: dict[str, Ways] = {}
    for row in rows:
        if row["function"] != LIMIT:
            cases.setdefault(row["case"], {})[row["provider"]] = row
    return cases


def others(ways: Ways, prefix: str = "") -> list[Row]:
    """Rows that compute what ours does, by providers of this prefix, the fastest first."""
    rows = [row for way, row in ways.items() if way.startswith(prefix) and not way.startswith("ours/")]
    return sorted((row for row in rows if not row["computes"]), key=lambda row: row["min"])


def is_slower(ways: Ways) -> bool:
    """Whether a torch provider is faster than ours."""
    return OURS in ways and any(row["min"] < ways[OURS]["min"] for row in others(ways, TORCH))


def limits(rows: Iterable[Row]) -> dict[str, Row]:
    """By "float32", "float64" and "copy", at the most threads."""
    found = [row for row in rows if row["function"] == LIMIT]
    return {row["variant"]: row for row in sorted(found, key=lambda row: row["threads"])}


def rate(row: Row) -> float:
    """Flop or bytes a second."""
    return float(max(row["flop"], row["bytes"]) / row["min"])


def minima(row: Row) -> list[float]:
    """Seconds, one a process."""
    return [float(value) for value in str(row["minima"]).split()]


def ratios(slow: Row, fast: Row) -> list[float]:
    """How many times as long ``slow`` takes: the k-th process's minimum over the k-th."""
    return [one / other for one, other in zip(minima(slow), minima(fast), strict=False)]


def spread(values: Sequence[float]) -> str:
    """``3.8 to 6.1``, or one number where both read the same."""
    return " to ".join(dict.fromkeys((figure(min(values)), figure(max(values)))))


def figure(value: float) -> str:
    """Two digits, or two decimals from 0.1 to 2, where a hundredth matters; no exponents."""
    if 0.1 <= value < 2:
        return f"{value:.2f}"
    value = float(f"{value:.2g}")
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 2 else f"{value:f}".rstrip("0").rstrip(".")


def milliseconds(row: Row) -> str:
    """Three digits: ``0.0123 ms``, ``152 ms``, ``12,300 ms``."""
    value = float(f"{row['min'] * 1e3:.3g}")
    return f"{value:,.0f} ms" if value >= 100 else f"{value:g} ms"


def mebibytes(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else figure(value)


def group(row: Row) -> str:
    """What tables and plots put together: ``pairwise``, ``sparsify exact``."""
    return f"{row['function']} {row['variant']}".strip()


def shape(row: Row, without: Sequence[str] = ()) -> str:
    """``12 modules gpt2-c_attn 2304 × 768, N = 8, r = 8``: a case's name for people."""
    words = [f"{row['modules']} modules" if (row["modules"] or 1) > 1 and "modules" not in without else ""]
    words += ["" if row["model"].startswith("square") else row["model"], f"{row['m']} × {row['n']}" if row["m"] else ""]
    parts = [" ".join(filter(None, words)) if "m" not in without else ""]
    parts += [f"{key} = {row[key]:,}" for key in ("N", "r") if row[key] and key not in without]
    threads = " threads=" in row["case"] and "threads" not in without
    parts += [f"{row['threads']} thread{'s' * (row['threads'] > 1)}"] if threads else []
    return ", ".join(filter(None, parts))
