"""``python -m taskvec_bench.large``: every figure in a fresh process, printed and, with --csv, kept as rows."""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..measure.machine import described, machine_name
from .figures import FIGURES, ON_GPU, Measured, measure

COLUMNS = ["figure", *Measured._fields, "holds"]
MACHINE = ["simd", "processor", "cores", "python", "torch", "version", "commit", "date"]


def main() -> int:
    parser = argparse.ArgumentParser("python -m taskvec_bench.large", description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="figures whose name matches (default: all)")
    parser.add_argument("--csv", type=Path, metavar="PATH", help="a file .csv or a folder; rows of other figures stay")
    parser.add_argument("--folder", type=Path, help="for zoos and results, 12 GB (default: the temporary folder)")
    parser.add_argument("--small", action="store_true", help="tiny zoos: that it runs, not how fast")
    parser.add_argument("--one", choices=FIGURES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        for row in measure(options.one, options.folder, options.small):
            print(json.dumps(row), flush=True)
        return 0
    chosen = [name for name in FIGURES if re.search(options.only, name)]
    if not chosen:
        parser.error(f"--only {options.only} matches none of {', '.join(FIGURES)}")
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    rows, failed = list[dict[str, Any]](), False
    with TemporaryDirectory(prefix="taskvec-large-", dir=options.folder) as folder:
        for name in chosen:
            command = [sys.executable, "-m", "taskvec_bench.large", "--one", name, "--folder", folder]
            with subprocess.Popen(command + ["--small"] * options.small, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout
                for line in process.stdout:
                    rows.append({"figure": name} | as_row(Measured(*json.loads(line))))
                    print(said(rows[-1]), flush=True)
            if process.returncode:
                failed = True
                print(f"{name}: failed with {process.returncode}", file=sys.stderr)
            if options.csv:
                for device in ("cpu", "cuda"):
                    keep(options.csv, [row for row in rows if (row["figure"] in ON_GPU) == (device == "cuda")], device)
    return 1 if failed else 0


def as_row(found: Measured) -> dict[str, Any]:
    holds = None
    if found.bound is not None:
        holds = found.value >= found.bound if found.least else found.value <= found.bound
    return {**found._asdict(), "value": float(f"{found.value:.4g}"), "holds": holds}


def said(row: dict[str, Any]) -> str:
    bound = "" if row["bound"] is None else f"  {'at least' if row['least'] else 'at most'} {row['bound']:g}"
    verdict = {None: "", True: ": holds", False: ": DOES NOT HOLD"}[row["holds"]]
    return (
        f"{row['figure']:12} N={row['adapters']:<6} {row['what']:40} {row['value']:10.4g} {row['unit']}{bound}{verdict}"
    )


def keep(path: Path, rows: list[dict[str, Any]], device: str) -> None:
    """These rows of a device in the place of older ones of the same figures."""
    if not rows:
        return
    if path.suffix != ".csv":
        path = path / f"{machine_name(device)}-large.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = {row["figure"] for row in rows}
    old = list[dict[str, Any]]()
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            old = [row for row in csv.DictReader(file) if row["figure"] not in new]
    machine = {name: value for name, value in described(device).items() if name in MACHINE}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *MACHINE])
        writer.writeheader()
        writer.writerows([*old, *({**row, **machine} for row in rows)])


if __name__ == "__main__":
    sys.exit(main())
