"""Before a sweep: how large its result would be for each thing that can be kept, and how long it would take."""

from __future__ import annotations

import math
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from taskvec_kernels import LowRankSVD

from ..errors import TaskvecError
from ..progress import Speed
from ..storage import remote_url
from ..store.entry import FP32_BYTES, form_bytes
from .compute import array, both_ways
from .keep import Keep
from .layout import arrays, kinds_of, layers_of, reduced
from .options import Options, device_here
from .plan import Plan

ALL_BYTES = 4 * 2**30  # of a result of every module that is kept unasked
SQUARE = 768  # of a product that is timed
PROBE_ADAPTERS, PROBE_BYTES, PROBE_SECONDS = 64, 32 * 2**20, 0.2


@dataclass(frozen=True)
class Estimate:
    """What a sweep would come to.

    Attributes:
        pairs: ordered pairs of adapters and modules.
        bytes: of the result, by what is kept; before compression, which takes off little.
        free: bytes on the disk; None where nobody knows.
        pairs_per_second: of the kernels, measured on random factors of the zoo's most common shape.
        seconds: that the kernels need; reading and writing come on top.
    """

    pairs: int
    bytes: Mapping[str, int]
    free: int | None
    pairs_per_second: float
    seconds: float


def estimate(plan: Plan, options: Options, keep: Keep, several: bool, out: str | Path | None) -> Estimate:
    """For a plan, whatever of it is on the disk already; it takes a fraction of a second, and reads no factors."""
    kinds = dict.fromkeys([str(Keep("all")), str(Keep("reduced")), str(keep)])
    sizes = {kind: result_bytes(plan, options, Keep.of(kind, keep.by), several) for kind in kinds}
    rate = probe(plan, options)
    return Estimate(plan.pairs, sizes, free_bytes(out), rate, plan.pairs / rate if plan.pairs else 0.0)


def result_bytes(plan: Plan, options: Options, keep: Keep, several: bool) -> int:
    """Of every variable, before compression."""
    lams = options.solver.lams if several else None
    found = arrays(plan, options.metrics, keep, lams).values()
    size = sum(math.prod(array.shape) * array.dtype.itemsize for array in found)
    if keep.how == "top":
        # each source's and each target's, in both directions; and those that the units had found
        pairs = min(len(plan.entries) ** 2, 4 * keep.top * len(plan.entries))
        groups = len(layers_of(plan.modules)) + len(kinds_of(plan.modules))
        size += 2 * pairs * FP32_BYTES * (len(reduced(options.metrics)) + 2 * groups)
    return size


def default_keep(plan: Plan, options: Options, several: bool) -> Keep:
    """Every module, as long as that is no more than 4 GiB."""
    return Keep("all" if result_bytes(plan, options, Keep("all"), several) <= ALL_BYTES else "reduced")


def probe(plan: Plan, options: Options) -> float:
    """Ordered pairs and modules a second, of the module shape and rank that most modules of the zoo have."""
    alike = Counter((one.shape, one.rank) for entry in plan.entries for one in entry.modules.values())
    if not alike:
        return math.inf
    (shape, rank), _ = alike.most_common(1)[0]
    m, n = shape
    count = max(1, min(PROBE_ADAPTERS, len(plan.entries), PROBE_BYTES // form_bytes(rank, shape)))
    generator = torch.Generator().manual_seed(0)
    sizes = (1, count, rank, m), (1, count, rank), (1, count, rank, n)
    U, S, Vh = (torch.rand(size, generator=generator).to(device_here(options.device)) for size in sizes)
    some = LowRankSVD(U.mT / m**0.5, S.sort(descending=True).values, Vh / n**0.5)
    seed = torch.arange(count).view(1, count) if options.solver.random else None

    def call() -> None:
        values = both_ways(some, None, options, seed, None)[0]
        array(next(iter(values.values())))  # a GPU has finished

    call()  # the first one also chooses a backend
    calls, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < PROBE_SECONDS:
        call()
        calls += 1
    return calls * count**2 / passed


def speed_of(plan: Plan, options: Options) -> Speed:
    """What ordered pairs and modules a second mean: also the share of what this machine reaches in matrix products."""
    of_pair = plan.flops / max(1, plan.pairs)
    peak = matmul_rate(options.device)
    return lambda rate: {"pairs_per_second": rate, "matmul_share": rate * of_pair / peak}


def matmul_rate(device: str) -> float:
    """Operations a second of a product of two fp32 matrices by torch."""
    a = torch.ones(SQUARE, SQUARE, device=device)
    (a @ a)[0, 0].item()
    started = time.perf_counter()
    (a @ a)[0, 0].item()
    return 2.0 * SQUARE**3 / (time.perf_counter() - started)


def free_bytes(out: str | Path | None) -> int | None:
    """On the disk of a result."""
    if out is None or remote_url(out) is not None:
        return None
    try:
        return shutil.disk_usage(Path(out).parent).free
    except OSError:
        return None


def check_room(needed: int, there: int, out: str | Path) -> None:
    """TaskvecError when a result of ``needed`` bytes, of which some are there, does not fit the disk."""
    free = free_bytes(out)
    if free is not None and needed - there > free:
        what = f"the result needs {size_text(needed - there)} and {size_text(free)} are free"
        raise TaskvecError(what, where=str(out), fix="keep less (--keep reduced, --keep top=100), or make room")


def size_text(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.3g} {unit}"
