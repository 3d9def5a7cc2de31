"""`make bench`: the cases in three fresh processes, the figures of the issue, one CSV row a case and provider."""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import taskvec_kernels as tk

# what a figure is relative to, when it is no provider of the case
MATMUL, CLOCK = "matmul", "clock"
COSTS = ("sparse-fused",)
DATA = Path(__file__).parent / "data"
# key of a case: (what is compared, with what, the figure it must reach, or for a cost not pass)
TARGETS = {
    "pairwise-4096": ("share of torch.mm 4096³", MATMUL, 0.90),
    "pairwise-1024": ("share of torch.mm 4096³", MATMUL, 0.80),
    "pairwise-medium": ('times "highest"', "highest", 1.6),
    "pairwise-modules": ("times a Python loop", "python loop, cached SVDs", 5.0),
    "lowrank-8": ("times torch qr + svd", "torch qr + svd", 8.0),
    "lowrank-64": ("times torch qr + svd", "torch qr + svd", 2.0),
    "sparse-exact": ("million pairs a second", CLOCK, 20.0),
    "sparse-fused": ("times the time at λ = 0, at most", "λ = 0", 1.15),
    "sparse-adam": ("times torch.optim.Adam, batched", "torch.optim.Adam, batched", 3.0),
    "sparse-dense": ("times torch.optim.Adam on the dense objective", "torch.optim.Adam, dense", 10_000.0),
}


def one_process() -> dict[tuple[str, str], dict[str, float | str]]:
    """(key, provider) → minimum and median seconds of a fresh pytest process."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "benchmarks",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--benchmark-json={report}",
        ]
        subprocess.run([*command, "--benchmark-disable-gc"], check=True, stdout=subprocess.DEVNULL)
        rows = json.loads(report.read_text())["benchmarks"]
    return {
        (row["extra_info"]["key"], row["extra_info"]["provider"]): row["extra_info"]
        | {"min": row["stats"]["min"], "median": row["stats"]["median"]}
        for row in rows
    }


def figure(run: dict[tuple[str, str], dict[str, float | str]], key: str) -> float:
    def a_pair(row: dict[str, float | str]) -> float:
        return float(row["min"]) / float(row["pairs"])

    ours = run[key, "ours"]
    against = TARGETS[key][1]
    if against == MATMUL:
        limit = run["matmul", "torch"]
        return (float(ours["flop"]) / float(ours["min"])) / (float(limit["flop"]) / float(limit["min"]))
    if against == CLOCK:
        return 1e-6 / a_pair(ours)
    ratio = a_pair(run[key, against]) / a_pair(ours)
    return 1 / ratio if key in COSTS else ratio


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--csv", type=Path, help="append rows to this file, e.g. benchmarks/data/NAME.csv")
    options = parser.parse_args()
    runs = []
    for number in range(options.processes):
        print(f"process {number + 1} of {options.processes} ...", file=sys.stderr, flush=True)
        runs.append(one_process())
    print(
        f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"SIMD {tk.simd_level()}, torch {torch.__version__}"
    )
    for key, (what, _, target) in TARGETS.items():
        values = sorted(figure(run, key) for run in runs)
        case = runs[0][key, "ours"]["case"]
        best = min(float(run[key, "ours"]["min"]) for run in runs)
        spread = " ".join(f"{value:.2f}" for value in values)
        print(f"{case!s:45} {best * 1e3:9.1f} ms   {spread} {what} (target {target:g})")
    if options.csv:
        write_rows(options.csv, runs)


def write_rows(path: Path, runs: list[dict[tuple[str, str], dict[str, float | str]]]) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    fields = ["case", "provider", "unit", "min", "median", "figure_low", "figure_high", "figure", "target", "flop"]
    fields += ["processes", "threads", "simd", "processor", "torch", "version", "commit", "date"]
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields)
        if new:
            writer.writeheader()
        for (key, provider), row in runs[0].items():
            best = [run[key, provider] for run in runs]
            values = [figure(run, key) for run in runs] if provider == "ours" else []
            writer.writerow(
                {
                    "case": row["case"],
                    "provider": provider,
                    "unit": "s",
                    "min": f"{min(float(r['min']) for r in best):.6g}",
                    "median": f"{sorted(float(r['median']) for r in best)[len(best) // 2]:.6g}",
                    "figure_low": f"{min(values):.3g}" if values else "",
                    "figure_high": f"{max(values):.3g}" if values else "",
                    "figure": TARGETS[key][0] if values else "",
                    "target": TARGETS[key][2] if values else "",
                    "flop": f"{float(row['flop']):.6g}",
                    "processes": len(runs),
                    "threads": torch.get_num_threads(),
                    "simd": tk.simd_level(),
                    "processor": processor(),
                    "torch": torch.__version__,
                    "version": tk.version.__version__,
                    "commit": commit,
                    "date": datetime.date.today().isoformat(),
                }
            )


if __name__ == "__main__":
    main()
