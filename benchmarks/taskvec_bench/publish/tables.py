"""Rows to Markdown: what the documents say between their marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from ..measure.fingerprints import of_a_row
from ..measure.rows import Row
from . import targets, ways
from .growth import curves, slope
from .targets import TARGETS
from .ways import OURS, Ways, group, is_slower, mebibytes, milliseconds, others, ratios, shape, spread

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


def table(head: Sequence[str], lines: Iterable[Sequence[str]], otherwise: str = "") -> str:
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells) if len(cells) > 2 else otherwise


def joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    return groups


def share(row: Row) -> str:
    """Of the nearer limit, and which that is."""
    value = row["share_of_limit"]
    return "—" if value is None else f"{value:.2f} {'matmul' if value == row['share_of_matmul'] else 'copy'}"


def next_to(row: Row, other: Row | None) -> tuple[str, str]:
    """Another provider, and its time over ours."""
    if other is None:
        return "—", "—"
    slower = " **slower than torch**" if other["provider"].startswith("torch/") else " **slower**"
    faster = other["min"] < row["min"] and not other["provider"].startswith("ours/")
    return f"`{other['provider']}`", spread(ratios(other, row)) + slower * faster


class Tables:
    """Of the rows of one machine; ``kernels`` are the fingerprints of today's tree: rows of another are marked."""

    def __init__(self, rows: list[Row], kernels: Mapping[str, str]) -> None:
        today = [row["kernels"] == of_a_row(kernels, row["function"], row["variant"], row["device"]) for row in rows]
        self.stale = [row for row, is_today in zip(rows, today, strict=True) if not is_today]
        # one sentence says it of all
        self.marks = [(row["case"], row["provider"]) for row in self.stale] if any(today) else []
        self.rows, self.cases = rows, ways.by_case(rows)

    def name(self, row: Row) -> str:
        return f"`{group(row)}` {shape(row)}"

    def time(self, row: Row) -> str:
        return milliseconds(row) + " †" * ((row["case"], row["provider"]) in self.marks)

    def machine(self, link: str) -> str:
        """The machine, its limits, versions, dates, and which rows are not of today's kernels."""
        first, dates, found = self.rows[0], sorted({row["date"] for row in self.rows}), ways.limits(self.rows)
        units = {
            "float16": "Gflop/s in fp16",
            "float32": "Gflop/s in fp32",
            "float64": "Gflop/s in fp64",
            "copy": "GB/s in a copy",
        }
        rates = ", ".join(f"{ways.rate(found[kind]) / 1e9:.0f} {units[kind]}" for kind in units if kind in found)
        processes = max(len(ways.minima(row)) for row in self.rows)
        commits = ", ".join(sorted({row["commit"] or "unknown" for row in self.stale}))
        old = f"{'Rows marked †' if self.marks else 'All rows'} were measured with earlier kernels (commit {commits})."
        versions, days = f"torch {first['torch']}, Python {first['python']}", dict.fromkeys((dates[0], dates[-1]))
        lines = [
            f"Machine: {first['processor']}, {first['cores']} cores, {first['simd']}; {versions}.",
            f"Peak rates, measured with torch: {rates}.",
            f"{len(self.cases)} cases, {processes} fresh processes, {' to '.join(days)}.",
            link,
        ]
        return "\n".join([*lines, old] if self.stale else lines)

    def telling(self) -> str:
        lines = []
        for name, provider in TELLING:
            if row := self.cases.get(name, {}).get(provider):
                # where nothing else computes the same, ours without λ
                rest = [*others(self.cases[name]), *(w for w in self.cases[name].values() if "λ=0" in w["provider"])]
                title = f"`{group(row)}` " + '"medium" ' * (provider == MEDIUM) + shape(row)
                lines.append((title, self.time(row), share(row), *next_to(row, rest[0] if rest else None)))
        return table(("case", "ours", "share", "next best", "its time / ours"), lines)

    def slower_count(self) -> str:
        count = sum(map(is_slower, self.cases.values()))
        where = ": [docs/PERFORMANCE.md](docs/PERFORMANCE.md) lists them" if count else ""
        return f"torch is faster in {count} of {len(self.cases)} cases{where}."

    def promised(self) -> str:
        lines = []
        for target in TARGETS:
            found = self.cases.get(target.case, {})
            title = self.name(found[target.provider]) if target.provider in found else f"`{target.case}`"
            wanted = f"{'≤' if target.at_most else '≥'} {target.bound:,g}"
            mark = " †" * ((target.case, target.provider) in self.marks)
            lines.append((title, target.what, wanted, target.reached(found, self.rows) + mark))
        return table(("case", "figure", "target", "reached"), lines)

    def slower(self) -> str:
        """Each case in which a torch provider is faster, with both times."""
        lines = []
        for found in filter(is_slower, self.cases.values()):
            ours, torch = found[OURS], others(found, "torch/")[0]
            both = f"`{torch['provider']}` {milliseconds(torch)}", spread(ratios(ours, torch))
            lines.append((self.name(ours), self.time(ours), *both))
        count = f"{len(lines) or 'None'} of {len(self.cases)} cases."
        return joined(count, table(("case", "ours", "torch", "ours / torch"), lines))

    def different(self) -> str:
        """Providers whose result is not the case's: what they compute, and their times over ours."""
        kinds: dict[tuple[str, str], list[float]] = {}
        for row in self.rows:
            ours = self.cases.get(row["case"], {}).get(OURS)
            if ours and row["computes"] and not row["provider"].startswith("ours/"):
                kinds.setdefault((row["provider"], row["computes"]), []).append(row["min"] / ours["min"])
        lines = [(f"`{way}`", what.replace("|", "\\|"), str(len(x)), spread(x)) for (way, what), x in kinds.items()]
        return table(("provider", "computes", "cases", "its time / ours"), lines, "None.")

    def shares(self) -> str:
        """Rows of ours under ``NEAR`` of their limit, counted by function."""
        lines = []
        ours = [row for row in self.rows if row["provider"] == OURS and row["share_of_limit"] is not None]
        for name, members in grouped(sorted(ours, key=lambda row: float(row["share_of_limit"]))).items():
            found = [row["share_of_limit"] for row in members]
            ends = f"{median(found):.2f}", f"{found[-1]:.2f}", f"{found[0]:.2g}: {shape(members[0])}"
            lines.append((f"`{name}`", str(len(found)), str(sum(value < NEAR for value in found)), *ends))
        return table(("function", "rows", f"under {NEAR}", "median share", "best", "worst"), sorted(lines))

    def slopes(self) -> str:
        lines = []
        for axis, label, *both in curves(self.rows):
            cells = [f"{slope(points)}, {slope(points[len(points) // 2 :])}" for points in both]
            lines.append((axis, label, ", ".join(f"{x:g}" for x, _ in both[0]), *cells))
        return table(("against", "curve", "points", "ours: slope, of the upper half", "fastest torch"), lines)

    def memory(self) -> str:
        """Peak memory above the inputs, MiB, of the cases where it was measured for two providers or more."""
        lines = []
        for found in self.cases.values():
            peaks = {way: row["peak_memory"] for way, row in found.items() if row["peak_memory"] is not None}
            if OURS in peaks and len(peaks) > 1:
                rest = sorted((value, way) for way, value in peaks.items() if not way.startswith("ours/"))
                ends = [f"`{way}` {mebibytes(value)}" for value, way in (*rest[:1], *rest[1:][-1:])]
                lines.append([self.name(found[OURS]), mebibytes(peaks[OURS]), *ends, "—", "—"][:4])
        return table(("case", "ours, MiB", "least of the others", "most"), lines, "Not measured.")

    def everything(self) -> str:
        """Every case, one line each, a table for each function."""
        parts = []
        for name, members in grouped(next(iter(found.values())) for found in self.cases.values()).items():
            count = f"{len(members)} case{'s' * (len(members) > 1)}."
            parts += [f"### `{name}`", count, self.full([self.cases[row["case"]] for row in members])]
        return joined(*parts)

    def full(self, members: list[Ways]) -> str:
        """Ours and its further providers, then the fastest and the slowest of the others and their times over ours."""
        further = dict.fromkeys(way for found in members for way in found if way.startswith("ours/") and way != OURS)
        lines = []
        for found in members:
            if ours := found.get(OURS):
                rest = others(found)
                ends = [" ".join(next_to(ours, row)) for row in (*rest[:1], *rest[1:][-1:])]
                own = [milliseconds(found[way]) if way in found else "—" for way in further]
                lines.append([shape(ours), self.time(ours), share(ours), *own, *ends, *["—"] * (2 - len(ends))])
        names = [way.removeprefix(OURS).strip() for way in further]
        return table(("case", "ours", "share", *names, "fastest other", "slowest other"), lines)
