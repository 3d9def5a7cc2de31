"""Rows that say nothing of today's tree: measured with other kernels, or of a case that is no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .case import Case
from .fingerprints import of_a_row
from .real import VARIANT
from .registry import CASES
from .rows import Row

MARK = "†"
Kernels = Mapping[str, str]  # ``fingerprints`` of a tree


def stale(rows: Iterable[Row], kernels: Kernels) -> list[Row]:
    """Rows measured with kernels whose fingerprint is not that of ``kernels``."""
    return [row for row in rows if row.kernels != of_a_row(kernels, row.function, row.variant)]


def mark(row: Row, kernels: Kernels) -> str:
    return f" {MARK}" if stale([row], kernels) else ""


def footnote(rows: Iterable[Row], kernels: Kernels) -> str:
    """What the mark means; empty where every row is of today's kernels."""
    commits = sorted({row.commit or "unknown" for row in stale(rows, kernels)})
    if not commits:
        return ""
    return f"{MARK} measured before the kernels changed: commit {', '.join(commits)}; run `make bench`."


def undeclared(rows: Iterable[Row], registry: Mapping[str, Case] = CASES) -> list[str]:
    """``case: provider`` of each row that the registry would not make; real adapters need not be here."""
    return [
        f"{row.case}: {row.provider}"
        for row in rows
        if row.variant != VARIANT and (row.case not in registry or row.provider not in registry[row.case].providers)
    ]
