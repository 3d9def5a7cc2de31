"""Rows by case: ours, what else computes the same, and ratios with their spread over the processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .rows import LIMIT, Row

OURS, TORCH = "ours/cpu", "torch/"
Ways = Mapping[str, Row]  # the rows of one case, by provider
Spread = tuple[float, float]  # low, high


def by_case(rows: Iterable[Row]) -> dict[str, dict[str, Row]]:
    """Case → provider → row, in the order of ``rows``; without the machine's limits."""
    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row.function != LIMIT:
            cases.setdefault(row.case, {})[row.provider] = row
    return cases


def others(ways: Ways, prefix: str = "") -> list[Row]:
    """Rows that compute what ours does, by providers of this prefix, the fastest first."""
    rows = [row for row in ways.values() if not row.provider.startswith("ours/") and not row.computes]
    return sorted((row for row in rows if row.provider.startswith(prefix)), key=lambda row: row.min)


def slower_than_torch(ways: Ways) -> Row | None:
    """The fastest torch provider where it is faster than ours."""
    torch = others(ways, TORCH)
    return torch[0] if OURS in ways and torch and torch[0].min < ways[OURS].min else None


def limit_of(rows: Iterable[Row], variant: str, threads: int | None = None) -> Row | None:
    """The row of a limit, "float32", "float64" or "copy"; with the most threads if their number is not given."""
    found = [row for row in rows if row.function == LIMIT and row.variant == variant]
    found = [row for row in found if threads in (None, row.threads)]
    return max(found, key=lambda row: row.threads, default=None)


def minima(row: Row) -> list[float]:
    """Seconds, one a process."""
    return [float(value) for value in row.minima.split()]


def ratio(slow: Row, fast: Row) -> Spread:
    """How many times as long ``slow`` takes: the k-th process's minimum against the k-th, the least and the most."""
    ratios = [one / other for one, other in zip(minima(slow), minima(fast), strict=False)]
    return min(ratios), max(ratios)


def spread(low_high: Spread) -> str:
    """``3.8 to 6.1``, or one number where both read the same."""
    low, high = (figure(value) for value in low_high)
    return low if low == high else f"{low} to {high}"


def figure(value: float) -> str:
    """Two decimals below 2, where a hundredth matters, two digits above; no exponents."""
    if value < 0.1:
        return f"{float(f'{value:.2g}'):f}".rstrip("0").rstrip(".")
    if value < 2:
        return f"{value:.2f}"
    value = float(f"{value:.2g}")
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def milliseconds(seconds: float) -> str:
    """Three digits: ``0.0123 ms``, ``152 ms``, ``12,300 ms``."""
    value = float(f"{seconds * 1e3:.3g}")
    return f"{value:,.0f} ms" if value >= 100 else f"{value:g} ms"


def shape(row: Row) -> str:
    """``12 modules gpt2-c_attn 2304 × 768, N = 8, r = 8``: a case's name for people."""
    words = [f"{row.modules} modules"] if (row.modules or 1) > 1 else []
    words += [row.model] if row.model and not row.model.startswith("square") else []
    words += [f"{row.m} × {row.n}"] if row.m else []
    parts = [" ".join(words)] if words else []
    parts += [f"N = {row.N:,}"] if row.N else []
    parts += [f"r = {row.r}"] if row.r else []
    parts += [f"{row.threads} thread{'s' if row.threads > 1 else ''}"] if " threads=" in row.case else []
    return ", ".join(parts)


def group(row: Row) -> str:
    """What tables and plots put together: ``pairwise``, ``sparsify exact``."""
    return f"{row.function} {row.variant}".strip()
