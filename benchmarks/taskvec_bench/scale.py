"""``python -m taskvec_bench.scale``: the arithmetic of docs/SCALE.md, as the rows of its tables.

``--measure`` times one block of adapters and one of sketches on this machine first, and uses these rates.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
MODULES, LAYERS, KINDS, M, N, R = 64, 32, 2, 4096, 4096, 8
METRICS, MEANS = 16, 4  # of a pair; those of which the plain mean is kept too
SKETCH, TOP = 48, 100
ZOOS = (10**3, 10**4, 10**5, 10**6)
FP32 = 4
UNITS = (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


@dataclass(frozen=True)
class Machine:
    """What a machine does in a second: flop of exact products, and unordered pairs and modules of sketches."""

    name: str
    flop: float
    sketches: float | None = None


def pair_flop(m: int = M, n: int = N) -> float:
    """Of an unordered pair of adapters, both directions."""
    return 2.0 * R * R * (m + n) * MODULES


def bytes_of(adapters: int) -> dict[str, float]:
    """The store, and the result by what is kept, before compression."""
    directions = MODULES * R
    reduced = FP32 * (METRICS - 1 + MEANS + 2 + 2 * (LAYERS + KINDS))
    pairs = float(adapters) ** 2
    return {
        "store": float(adapters) * directions * (M + N) * FP32,
        "sketches": float(adapters) * directions * 2 * SKETCH * FP32,
        "all": pairs * METRICS * MODULES * FP32,
        "reduced": pairs * reduced,
        f"top={TOP}": min(pairs, 4.0 * adapters * TOP) * reduced,  # of sources and targets, both ways
    }


def machines() -> list[Machine]:
    """From the committed rows: two cores, as many threads as sixty-four of them would have, and a GPU."""
    cpu = rate(DATA / "intel-xeon-2.50ghz-2-cores.csv", "pairwise square-4096 modules=1 N=256 m=4096 n=4096 r=8")
    gpu = rate(DATA / "gpu/nvidia-h100-80gb-hbm3.csv", "pairwise square-4096 modules=224 N=64 m=4096 n=4096 r=16 cuda")
    return [Machine("2 cores", cpu), Machine("64 cores", 32 * cpu), Machine("H100", gpu)]


def rate(path: Path, case: str) -> float:
    """flop a second of this package's own way, in the median."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["case"] == case and row["provider"] in ("ours/cpu", "ours/triton"):
                return float(row["flop"]) / float(row["median"])
    raise LookupError(case)


def measured(size: int = 256) -> Machine:
    """This machine: blocks of adapters of one module with every metric, and of their sketches."""
    import torch

    from taskvec.store.sketches import sketched
    from taskvec.sweeps.options import DEFAULT
    from taskvec_kernels import LowRankSVD, pairwise

    generator = torch.Generator().manual_seed(0)
    U, Vh = (torch.randn(1, size, R, length, generator=generator) / length**0.5 for length in (M, N))
    svd = LowRankSVD(U.mT, torch.ones(1, size, R), Vh)
    sketch = sketched(svd, ["h.0.q"], SKETCH)
    seconds = []
    for one, metrics in ((svd, DEFAULT), (sketch, ("captured", "captured_out", "captured_in"))):
        runs = []
        for _ in range(5):
            start = time.perf_counter()
            pairwise(one, metrics=metrics)
            runs.append(time.perf_counter() - start)
        seconds.append(min(runs))
    pairs = size * (size + 1) / 2
    return Machine("here", pairs * pair_flop() / MODULES / seconds[0], pairs / seconds[1])


def size_rows() -> Iterator[str]:
    columns = [*bytes_of(1)]
    yield "| N | " + " | ".join(columns) + " |"
    yield "|" + "---|" * (len(columns) + 1)
    for adapters in ZOOS:
        yield f"| {adapters:,} | " + " | ".join(amount(value) for value in bytes_of(adapters).values()) + " |"


def time_rows(some: list[Machine]) -> Iterator[str]:
    yield "| N | flop | " + " | ".join(machine.name for machine in some) + " | flop of the sketches |"
    yield "|" + "---|" * (len(some) + 3)
    for adapters in ZOOS:
        pairs = adapters**2 / 2
        exact, sketches = pairs * pair_flop(), pairs * pair_flop(SKETCH, SKETCH)
        times = " | ".join(duration(exact / machine.flop) for machine in some)
        yield f"| {adapters:,} | {exact:.1e} | {times} | {sketches:.1e} |"


def amount(size: float) -> str:
    """Bytes in decimal units."""
    power = next(power for power in range(6) if size < 1000 ** (power + 1))
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def duration(seconds: float) -> str:
    unit, length = next((one for one in UNITS if seconds >= one[1]), UNITS[-1])
    return f"{seconds / length:.2g} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser("python -m taskvec_bench.scale", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="time this machine first")
    here = [measured()] if parser.parse_args().measure else []
    print(*size_rows(), "", *time_rows([*machines(), *here]), sep="\n")
    for machine in here:
        print(
            f"\nhere: {machine.flop / 1e9:.0f} Gflop/s with every metric; {machine.sketches:.3g} sketches of a module"
        )
        for adapters in ZOOS:
            seconds = adapters**2 / 2 * MODULES / (machine.sketches or 1.0)
            print(f"comparing {adapters:,} adapters by sketches: {duration(seconds)}")


if __name__ == "__main__":
    main()
