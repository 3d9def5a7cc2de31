"""`make gpu`, last step: what is promised of a GPU, each case compared before it is timed, one CSV row a provider."""

from __future__ import annotations

import argparse
import csv
import datetime
import re
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import taskvec_kernels as tk
from taskvec_kernels.dispatch import registry

GPU = torch.device("cuda", 0)
METRICS = ("l1", "l2", "rec", "entropy_projected", "cosine")


@dataclass(frozen=True)
class Row:
    case: str
    provider: str
    times: list[float]  # seconds
    figure: str = ""
    value: float | None = None
    target: str = ""


def timed(run: Callable[[], Any], rounds: int) -> list[float]:
    """Seconds of each of ``rounds`` runs by CUDA events, after one that is not counted."""
    run()
    times = []
    for _ in range(rounds):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop) / 1e3)
    return times


def copy_bandwidth() -> Row:
    source = torch.randn(1 << 29, device=GPU)  # 2 GiB
    target = torch.empty_like(source)
    times = timed(lambda: target.copy_(source), 10)
    return Row("copy of 2 GiB", "torch", times, "bytes read and written a second", 2 * source.nbytes / min(times))


def qr_svd(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What one writes in torch."""
    qb, rb = torch.linalg.qr(b)
    qa, ra = torch.linalg.qr(a.mT)
    u, s, vh = torch.linalg.svd(rb @ ra.mT)
    return qb @ u, s, vh @ qa.mT


def lowrank_rows(count: int, m: int, r: int, dtype: torch.dtype, bandwidth: float, against_torch: int) -> list[Row]:
    """``against_torch``: so many of the matrices are given to torch, whose time is scaled to all of them."""
    b, a = torch.randn(count, m, r, device=GPU).to(dtype), torch.randn(count, r, m, device=GPU).to(dtype)
    U, S, Vh = tk.lowrank_svd(b[:4], a[:4], backend="cuda")
    tau = b[:4].double() @ a[:4].double()
    error = float((U.double() * S.double()[:, None, :] @ Vh.double() - tau).norm() / tau.norm())
    assert error < 1e-6, f"lowrank_svd: error {error}"
    name = f"lowrank_svd {count} × ({m}×{r}, {r}×{m}) {str(dtype).removeprefix('torch.')}"
    ours = timed(lambda: tk.lowrank_svd(b, a, backend="cuda"), 10)
    read_twice = 2 * (b.nbytes + a.nbytes) / bandwidth
    rows = [Row(name, "ours", ours, "times reading the factors twice", min(ours) / read_twice, "≤ 3")]
    if against_torch:
        few, wide = slice(0, against_torch), torch.float32
        theirs = timed(lambda: qr_svd(b[few].to(wide), a[few].to(wide)), 1)
        scaled = [time * count / against_torch for time in theirs]
        rows.append(Row(name, f"torch qr + svd, {against_torch} matrices scaled", scaled))
        rows.append(Row(name, "ours", ours, "times as fast as torch qr + svd", min(scaled) / min(ours), "≥ 50"))
    return rows


def matmul_rate() -> Row:
    """What the tensor cores reach in torch: fp16, 8192³, random data."""
    a, b = (torch.randn(8192, 8192, device=GPU, dtype=torch.float16) for _ in range(2))
    times = timed(lambda: a @ b, 20)
    return Row("torch.mm fp16 8192³", "torch", times, "flop a second", 2 * 8192**3 / min(times))


def pairwise_rows(
    modules: int, adapters: int, m: int, r: int, precision: str, matmul: float, target: str = ""
) -> list[Row]:
    """By whatever backend has ``pairwise`` on a GPU; nothing for the reference. One half of the pairs counts."""
    if absent("pairwise"):
        return []
    b, a = torch.randn(modules, adapters, m, r, device=GPU), torch.randn(modules, adapters, r, m, device=GPU)
    svd = tk.lowrank_svd(b, a, 1 / m, backend="cuda")
    times = timed(lambda: tk.pairwise(svd, metrics=METRICS, precision=precision), 5)
    share = modules * adapters**2 * r * r * 2 * m / min(times) / matmul
    name = f"pairwise {modules} × N={adapters} m=n={m} r={r} {precision}"
    return [Row(name, "ours", times, "share of torch.mm fp16 8192³", share, target)]


def dense_rows(dtype: torch.dtype, bandwidth: float) -> list[Row]:
    if absent("project_dense"):
        return []
    tau = torch.randn(64, 4096, 4096, device=GPU, dtype=dtype)
    U, V = (torch.randn(64, 4096, 16, device=GPU, dtype=dtype) / 64 for _ in range(2))
    times = timed(lambda: tk.project_dense(U, V.mT, tau), 10)
    share = tau.nbytes / min(times) / bandwidth
    return [
        Row(f"project_dense 64 × (4096×4096) r=16 {dtype}", "ours", times, "share of copy bandwidth", share, "≥ 0.8")
    ]


def sparse_rows(method: str, pairs: int) -> list[Row]:
    if absent("sparsify"):
        return []
    d = torch.randn(pairs, 8, device=GPU)
    norm = d.norm(dim=-1) + 1
    settings: dict[str, Any] = {"method": "adam", "steps": 500} if method == "adam" else {}
    times = timed(lambda: tk.sparsify(d, norm, 0.05, **settings), 5)
    return [Row(f"sparsify {method} r=8", "ours", times, "pairs a second", pairs / min(times))]


def absent(function: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return registry.implementation(function, None, GPU).__module__.endswith("backends.reference")


def cases() -> list[Row]:
    copy = copy_bandwidth()
    bandwidth = float(copy.value or 0)
    rows = [copy]
    for count, m, r, dtype, theirs in (
        (4096, 4096, 16, torch.float32, 512),
        (4096, 4096, 8, torch.float32, 0),
        (4096, 4096, 16, torch.bfloat16, 0),
        (1024, 4096, 64, torch.float32, 64),
        (256, 4096, 128, torch.float32, 0),
        (1, 4096, 16, torch.float32, 0),
    ):
        rows += lowrank_rows(count, m, r, dtype, bandwidth, theirs)
    rows.append(matmul_rate())
    matmul = float(rows[-1].value or 0)
    for precision, target in (("medium", "≥ 0.65"), ("high", ""), ("highest", "≥ 0.18")):
        rows += pairwise_rows(1, 2048, 4096, 16, precision, matmul, target)
    rows += pairwise_rows(1, 2048, 768, 8, "medium", matmul, "≥ 0.4")
    rows += pairwise_rows(224, 64, 4096, 16, "medium", matmul, "≥ 0.5")
    for dtype in (torch.float32, torch.bfloat16):
        rows += dense_rows(dtype, bandwidth)
    rows += [*sparse_rows("exact", 10_000_000), *sparse_rows("adam", 1_000_000)]
    return rows


def write(path: Path, rows: list[Row], name: str) -> None:
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    shared = {
        "unit": "s",
        "gpu": name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "version": tk.__version__,
        "commit": git.stdout.strip(),
        "date": datetime.date.today().isoformat(),
    }
    fields = ["case", "provider", "unit", "min", "median", "rounds", "figure", "value", "target"]
    fields += ["gpu", "torch", "cuda", "version", "commit", "date"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        for row in rows:
            times = sorted(row.times)
            own = {"case": row.case, "provider": row.provider, "figure": row.figure, "target": row.target}
            own |= {"min": f"{times[0]:.6g}", "median": f"{times[len(times) // 2]:.6g}", "rounds": str(len(times))}
            writer.writerow(shared | own | {"value": "" if row.value is None else f"{row.value:.4g}"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/data/gpu"))
    options = parser.parse_args()
    name = torch.cuda.get_device_name(GPU)
    rows = cases()
    for row in rows:
        value = "" if row.value is None else f"{row.value:.4g} {row.figure} {row.target}"
        print(f"{row.case:52} {row.provider:36} {min(row.times) * 1e3:10.3f} ms  {value}")
    path = options.folder / f"{re.sub(r'[^A-Za-z0-9.]+', '-', name)}.csv"
    write(path, rows, name)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
