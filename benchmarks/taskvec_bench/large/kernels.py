"""The kernels of a sweep alone: what its other parts are compared with."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path


def kernels(store: Path, device: str = "cpu") -> float:
    """Seconds of ``pairwise`` alone, of everything that the sweep asks of it."""
    import torch

    from taskvec.storage import open_storage
    from taskvec.store.factor_store import FactorStore
    from taskvec.store.kept import Kept
    from taskvec.sweeps.options import DEFAULT
    from taskvec_kernels import pairwise

    factors, spent = Kept(FactorStore(open_storage(store)), 0, device), 0.0
    everyone = tuple(range(len(factors.entries)))
    first = factors.entries[0]
    for path, module in first.modules.items():
        form = factors.read((path,), everyone, module.rank)
        started = time.perf_counter()
        pairwise(form.svd, metrics=DEFAULT)
        if device != "cpu":
            torch.cuda.synchronize()
        spent += time.perf_counter() - started
    return spent


ALONE = """
import sys
from pathlib import Path
import torch
from taskvec_bench.large.kernels import kernels
torch.set_num_threads(1)
print("ready", flush=True)
sys.stdin.readline()
print(kernels(Path(sys.argv[1])))
"""


def kernels_at_once(store: Path, processes: int) -> float:
    """Seconds of ``kernels`` by one thread in so many processes at the same time; those of the slowest."""
    command, pipe = [sys.executable, "-c", ALONE, str(store)], subprocess.PIPE
    with ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)) for _ in range(processes)
        ]
        for process in started:
            assert process.stdin and process.stdout
            process.stdout.readline()
        for process in started:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        return max(float(process.communicate()[0]) for process in started)
