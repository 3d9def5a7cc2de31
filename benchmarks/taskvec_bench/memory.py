"""Peak memory of providers, each call in a fresh process.

``python -m taskvec_bench.memory`` is the server: it imports torch and the registry, runs nothing, and forks a child for
every (case, provider) that it is asked for.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterable
from pathlib import Path

from .case import Case
from .registry import CASES
from .rows import LIMIT, Sample

Pair = tuple[str, str]  # names of a case and of its provider

COMPILERS = ("torch/compile",)  # compiling takes gigabytes and half a minute, and is no part of a call
PROCESS = Path("/proc/self")


def worth_measuring(samples: Iterable[Sample]) -> list[Pair]:
    """Of every function, variant and model the case with the most bytes, at all threads, and its providers with times.

    Memory grows with the data, so a smaller case would say less, and all of them would take a quarter of an hour. A
    provider that does a part of the work does not have the whole's memory.
    """
    timed = list(dict.fromkeys((sample.case, sample.provider) for sample in samples if sample.times))
    cases = [CASES[name] for name in dict.fromkeys(name for name, _ in timed)]
    largest: dict[tuple[str, ...], Case] = {}
    for case in cases:
        key = (case.function, case.variant, str(case.shape.get("model", "")))
        if case.function != LIMIT and case.threads is None and (key not in largest or case.bytes > largest[key].bytes):
            largest[key] = case
    chosen = {case.name for case in largest.values()}
    return [
        (name, provider)
        for name, provider in timed
        if name in chosen and provider not in COMPILERS and CASES[name].providers[provider].part == 1
    ]


def peaks(pairs: Iterable[Pair]) -> Generator[tuple[Pair, float | None]]:
    """``peak`` of each pair, when it is known; None for a process that died. Closing the iterator ends the server."""
    command = [sys.executable, "-m", "taskvec_bench.memory"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    # a session of its own: the server and the child it may have are ended together
    server = subprocess.Popen(command, env=with_this_package(), text=True, start_new_session=True, **pipes)  # type: ignore[call-overload]
    try:
        for pair in pairs:
            print(json.dumps(pair), file=server.stdin, flush=True)
            yield pair, json.loads(server.stdout.readline() or "null")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.communicate()


def with_this_package() -> dict[str, str]:
    path = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def peak(case: Case, provider: str) -> float | None:
    """MiB by which a call's peak resident memory lies above what there was before it, inputs included.

    None where the system does not reset the peak.

    What libraries load and start on a first call (code, threads, imports) is there before: the provider has then done
    the smallest case of its function, and pages of files that are mapped meanwhile do not count. All that the call
    itself allocates does, its result and what it keeps for a next call included.
    """
    small = min(
        (c for c in CASES.values() if c.function == case.function and provider in c.providers and not c.threads),
        key=lambda c: (c.variant != case.variant, c.bytes),
        default=case,
    )
    small.providers[provider].run(small.inputs())
    inputs = case.inputs()
    gc.collect()
    if not start_counting():
        return None
    before = resident()
    result = case.providers[provider].run(inputs)
    after = resident()
    del result
    files = max(0, after["RssFile"] - before["RssFile"])
    return max(0, after["VmHWM"] - before["VmRSS"] - files) / 1024


def start_counting() -> bool:
    """Hand free memory back and let the peak count from here; False where the system cannot."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        (PROCESS / "clear_refs").write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def resident() -> dict[str, int]:
    """KiB now (VmRSS), at the peak (VmHWM), and of mapped files (RssFile)."""
    lines = (line.split() for line in (PROCESS / "status").read_text().splitlines())
    return {line[0].rstrip(":"): int(line[1]) for line in lines if line[0] in ("VmRSS:", "VmHWM:", "RssFile:")}


def serve() -> None:
    """Answer each line [case, provider] of stdin by a line, MiB or null."""
    for line in sys.stdin:
        name, provider = json.loads(line)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(2, 1)  # what a provider prints is no answer
                os.write(write, json.dumps(peak(CASES[name], provider)).encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as answer:
            print(answer.read() or "null", flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    serve()
