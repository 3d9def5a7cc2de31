"""Rows to Markdown: what the documents say between their marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from . import targets
from .growth import curves, signed, slope, upper
from .results import (
    OURS,
    TORCH,
    Ways,
    by_case,
    figure,
    group,
    limit_of,
    milliseconds,
    others,
    ratio,
    shape,
    slower_than_torch,
    spread,
)
from .rows import Row
from .stale import Kernels, footnote, mark

NEAR = 0.8  # a row of at least this share is as near to its limit as kernels get
MEDIUM = "ours/cpu medium"
# the README's table; a case that was not measured is left out
TELLING = (
    (targets.PAIRWISE, OURS),
    (targets.PAIRWISE, MEDIUM),
    (targets.MANY_PAIRS, OURS),
    (targets.MANY_MODULES, OURS),
    ("pairwise square-1024 modules=16 N=2 m=1024 n=1024 r=8", OURS),
    (targets.SPARSE_PAIRWISE, OURS),
    (targets.LOWRANK_8, OURS),
    (targets.LOWRANK_64, OURS),
    ("project gpt2-c_attn N=64 m=2304 n=768 r=8", OURS),
    ("project_dense gpt2-c_attn N=21 m=2304 n=768 r=8", OURS),
    ("compare_spectra N=1000000 r=8", OURS),
    (targets.EXACT, OURS),
    (targets.ADAM, OURS),
    (targets.ALGORITHM_1, OURS),
)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def machine(rows: Sequence[Row]) -> str:
    """One paragraph: the machine, its limits, versions, dates."""
    first, dates = rows[0], sorted({row.date for row in rows})
    units = {"float32": "Gflop/s in fp32", "float64": "in fp64", "copy": "GB/s in a copy"}
    found = [(limit_of(rows, kind), unit) for kind, unit in units.items()]
    rates = [f"{max(row.flop, row.bytes) / row.min / 1e9:.0f} {unit}" for row, unit in found if row]
    processes = max(len(row.minima.split()) for row in rows)
    return (
        f"Machine: {first.processor}, {first.cores} cores, {first.simd}; torch {first.torch}, Python {first.python}.\n"
        f"Limits, by torch: {', '.join(rates)}. {len(by_case(rows))} cases, {processes} fresh "
        f"process{'es' if processes > 1 else ''}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}."
    )


def telling(rows: Sequence[Row], kernels: Kernels) -> str:
    cases, lines, shown = by_case(rows), [], []
    for name, provider in TELLING:
        ways = cases.get(name, {})
        if provider not in ways:
            continue
        row = ways[provider]
        # where nothing else computes the same, ours without λ is beside it
        beside = others(ways)[:1] or [way for way in ways.values() if way.provider not in (OURS, MEDIUM)][:1]
        other = beside[0] if beside else None
        shown += [row, *beside]
        medium = ' "medium"' if provider == MEDIUM else ""
        name = f"`{group(row)}`{medium} {shape(row)}"
        lines.append([name, milliseconds(row.min) + mark(row, kernels), limit_share(row), *beside_cells(row, other)])
    head = ("case", "ours", "share of limit", "next best", "times as long as ours")
    return joined(table(head, lines), footnote(shown, kernels))


def limit_share(row: Row) -> str:
    if row.share_of_limit is None:
        return "—"
    return f"{row.share_of_limit:.2f} {'matmul' if row.share_of_limit == row.share_of_matmul else 'copy'}"


def beside_cells(row: Row, other: Row | None) -> tuple[str, str]:
    if other is None:
        return "—", "—"
    faster = other.min < row.min and not other.provider.startswith("ours/")
    slower = " **slower than torch**" if faster and other.provider.startswith(TORCH) else " **slower**"
    return f"`{other.provider}`", spread(ratio(other, row)) + (slower if faster else "")


def joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def slower_count(rows: Sequence[Row]) -> str:
    """One sentence for the README."""
    cases = by_case(rows)
    count = sum(slower_than_torch(ways) is not None for ways in cases.values())
    if not count:
        return f"In none of the {len(cases)} cases is torch faster."
    return f"In {count} of {len(cases)} cases torch is faster: [docs/PERFORMANCE.md](docs/PERFORMANCE.md) names them."


def promised(rows: Sequence[Row], kernels: Kernels) -> str:
    cases, lines, used = by_case(rows), [], []
    for target in targets.TARGETS:
        row = cases.get(target.case, {}).get(target.provider)
        sign = mark(row, kernels) if row else ""
        used += [row] if row else []
        name = f"`{group(row)}` {shape(row)}" if row else f"`{target.case}`"
        lines.append((name, target.what, target.wanted(), target.reached(rows) + sign))
    return joined(table(("case", "figure", "target", "reached"), lines), footnote(used, kernels))


def slower(rows: Sequence[Row], kernels: Kernels) -> str:
    """Each case in which a torch provider is faster, with both times."""
    cases, lines, shown = by_case(rows), [], list[Row]()
    for ways in cases.values():
        if torch := slower_than_torch(ways):
            ours = ways[OURS]
            shown += [ours, torch]
            name = f"`{group(ours)}` {shape(ours)}"
            times = [milliseconds(row.min) for row in (ours, torch)]
            lines.append(
                (name, times[0] + mark(ours, kernels), f"`{torch.provider}` {times[1]}", spread(ratio(ours, torch)))
            )
    if not lines:
        return f"None of {len(cases)} cases."
    head = ("case: slower than torch", "ours", "torch", "ours takes times as long")
    return joined(f"{len(lines)} of {len(cases)} cases.", table(head, lines), footnote(shown, kernels))


def different(rows: Sequence[Row]) -> str:
    """Providers whose result is not the case's: what they compute, and their times over ours."""
    kinds: dict[tuple[str, str], list[float]] = {}
    for ways in by_case(rows).values():
        for row in ways.values():
            if row.computes and not row.provider.startswith("ours/") and OURS in ways:
                kinds.setdefault((row.provider, row.computes), []).append(row.min / ways[OURS].min)
    lines = []
    for (provider, computes), ratios in kinds.items():
        computed = computes.replace("|", "\\|")
        lines.append((f"`{provider}`", computed, str(len(ratios)), spread((min(ratios), max(ratios)))))
    return table(("provider", "computes", "cases", "times as long as ours"), lines) if lines else "None."


def shares(rows: Sequence[Row]) -> str:
    """Rows of ours under ``NEAR`` of their limit, counted by function."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.provider == OURS and row.share_of_limit is not None:
            groups.setdefault(group(row), []).append(row)
    lines = []
    for name, members in groups.items():
        found = sorted(row.share_of_limit or 0 for row in members)
        worst = min(members, key=lambda row: row.share_of_limit or 0)
        under = sum(value < NEAR for value in found)
        lines.append(
            (
                f"`{name}`",
                str(len(found)),
                str(under),
                f"{median(found):.2f}",
                f"{found[-1]:.2f}",
                f"{found[0]:.2g}: {shape(worst)}",
            )
        )
    return table(("function", "rows", f"under {NEAR}", "median share", "best", "worst"), lines)


def slopes(rows: Sequence[Row]) -> str:
    def cell(points: tuple[tuple[float, float], ...]) -> str:
        return f"{signed(slope(points))}, {signed(slope(upper(points)))}"

    lines = []
    for one in curves(rows):
        points = ", ".join(f"{x:g}" for x, _ in one.ours)
        lines.append((one.axis, one.label, points, cell(one.ours), cell(one.torch)))
    return table(("against", "curve", "points", "ours: slope, of the upper half", "fastest torch"), lines)


def everything(rows: Sequence[Row], kernels: Kernels) -> str:
    """Every case, one line each, a table for each function."""
    groups: dict[str, list[Ways]] = {}
    for ways in by_case(rows).values():
        groups.setdefault(group(next(iter(ways.values()))), []).append(ways)
    parts = []
    for name, members in groups.items():
        body = full_table(members, kernels)
        parts.append(f"<details><summary><code>{name}</code>: {len(members)} cases</summary>\n\n{body}\n\n</details>")
    return joined(*parts, footnote(rows, kernels))


def full_table(members: Sequence[Ways], kernels: Kernels) -> str:
    """Ours and its further providers, then the fastest and the slowest of the others and their times over ours."""
    further = list(dict.fromkeys(way for ways in members for way in ways if way.startswith("ours/") and way != OURS))
    lines = []
    for ways in members:
        any_row, ours, rest = next(iter(ways.values())), ways.get(OURS), others(ways)
        cells = [shape(any_row)]
        cells += [f"{milliseconds(ours.min)}{mark(ours, kernels)}" if ours else "—", limit_share(ours) if ours else "—"]
        cells += [milliseconds(ways[way].min) if way in ways else "—" for way in further]
        for row in (rest[:1], rest[-1:] if len(rest) > 1 else []):
            cells.append(f"`{row[0].provider}` {' '.join(beside_cells(ours, row[0])[1:])}" if row and ours else "—")
        lines.append(cells)
    names = [way.removeprefix(OURS).strip() for way in further]
    return table(("case", "ours", "share of limit", *names, "fastest other", "slowest other"), lines)


def memory(rows: Sequence[Row]) -> str:
    """Peak memory above the inputs, MiB, of the cases where it was measured for two providers or more."""
    lines = []
    for ways in by_case(rows).values():
        found = {way: row.peak_memory for way, row in ways.items() if row.peak_memory is not None}
        if OURS in found and len(found) > 1:
            row = ways[OURS]
            rest = sorted((value, way) for way, value in found.items() if not way.startswith("ours/"))
            ends = [f"`{way}` {mebibytes(value)}" for value, way in (rest[:1] + rest[1:][-1:])]
            cells = [f"`{group(row)}` {shape(row)}", mebibytes(found[OURS]), *ends, "—", "—"]
            lines.append(cells[:4])
    return table(("case", "ours, MiB", "least of the others", "most"), lines) if lines else "Not measured."


def mebibytes(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else figure(value)
