"""A process that holds one version of the kernels, and runs today's cases on it when asked.

Requests come as JSON lines on standard input and each is answered by one on standard output; the first line that it
writes says what was imported. It ends with its input.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from typing import Any

import torch

from .case import DisagreementError, Provider
from .registry import CASES


class Worker:
    """One case at a time, of inputs that both versions get from the same file."""

    def __init__(self) -> None:
        self.threads = torch.get_num_threads()
        self.case, self.inputs, self.truths = "", None, {}  # type: tuple[str, Any, dict[str, Any]]

    def load(self, case: str, file: str) -> dict[str, Any]:
        self.inputs, self.truths = None, {}  # first make room
        gc.collect()
        self.case = case
        # written by the parent process
        self.inputs, self.truths = torch.load(file, weights_only=False)
        torch.set_num_threads(CASES[case].threads or self.threads)
        return {}

    def check(self, provider: str) -> dict[str, Any]:
        """Seconds of a call, after one whose result is the reference's; ``refused`` where it is not."""
        way = CASES[self.case].providers[provider]
        result = way.run(self.inputs)
        try:
            (way.agrees or CASES[self.case].agrees)(result, self.truths[provider])
        except DisagreementError as error:
            return {"refused": f"wrong: {error}"}
        return {"seconds": seconds(way, self.inputs, 1)}

    def time(self, provider: str, calls: int) -> dict[str, Any]:
        """Seconds of the fastest of ``calls`` calls. What is short is called once more before, to warm the caches."""
        way = CASES[self.case].providers[provider]
        if calls > 1:
            way.run(self.inputs)
        return {"seconds": seconds(way, self.inputs, calls)}


def imported() -> dict[str, str]:
    """Module → file, of the kernels: an editable install would fill a gap in this version with a file of its own."""
    kernels = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "taskvec_kernels"}
    return {name: str(module.__file__) for name, module in kernels.items()}


def seconds(way: Provider, inputs: Any, calls: int) -> float:
    """Of the fastest: what interrupts a call only adds to its time."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        way.run(inputs)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints
    worker = Worker()
    print(json.dumps(imported()), file=answers, flush=True)
    gc.disable()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as error:  # of an older version anything may be missing
            answer = {"refused": " ".join(f"{type(error).__name__}: {error}".split())}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
