"""The rows of GPUs to Markdown: one table a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..measure.rows import read_csv
from .tables import Tables, joined, next_to, share, table
from .ways import others

FOLDER = "gpu"  # beside the rows of CPUs


def gpus(data: Path, link: str, kernels: Mapping[str, str]) -> str:
    """Every case of every GPU that has rows in ``data``: ours in each precision, its share, and the next best."""
    parts = [one_gpu(path, f"{link}/{path.name}", kernels) for path in sorted((data / FOLDER).glob("*.csv"))]
    return joined(*parts) or "Not measured."


def one_gpu(path: Path, link: str, kernels: Mapping[str, str]) -> str:
    tables = Tables([*read_csv(path).values()], kernels)
    lines = []
    for found in tables.cases.values():
        for way, row in found.items():
            if way.startswith("ours/"):
                title = tables.name(row) + (f" {row['computes'].partition(':')[0]}" if row["computes"] else "")
                best = others(found)[0] if others(found) else None
                lines.append((title, tables.time(row), share(row), *next_to(row, best)))
    head = "case", "ours", "share", "next best", "its time / ours"
    return joined(tables.machine(f"Rows: [{path.name}]({link})."), table(head, lines))
