"""A process that does the steps of a base it is told: a step a line on stdin, JSON lines of what happens on stdout."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch
import transformers

from .plan import read_plan
from .steps import Step
from .workbench import Workbench

THREADS = 1  # sums round differently with another number


def tell(**record: Any) -> None:
    print(json.dumps(record), flush=True)


def main(plan: str, base: str, out: str) -> None:
    """Ends when stdin does: a study that is killed leaves no process behind for longer than a step."""
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    workbench = Workbench(read_plan(Path(plan)), base, Path(out))
    workbench.report = lambda line: tell(doing=line)
    for line in sys.stdin:
        began = time.perf_counter()
        try:
            workbench.do(Step(*json.loads(line)))
        except Exception as error:
            tell(failed=f"{type(error).__name__}: {error}")
            raise
        tell(done=line.strip(), seconds=time.perf_counter() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
