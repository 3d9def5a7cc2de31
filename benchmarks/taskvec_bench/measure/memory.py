"""Peak memory of a provider on the CPU, each call in a fresh process forked from one that has torch imported."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path

from ..cases import CASES
from ..cases.case import Case
from ..cases.limits import LIMIT
from .rows import Key

COMPILERS = ("torch/compile",)  # compiling takes gigabytes and half a minute, and is no part of a call
PROCESS = Path("/proc/self")
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload([__name__])


def worth_measuring(timed: Iterable[Key]) -> list[Key]:
    """Of every function, variant and model the case with the most bytes, at all threads, and its providers.

    Memory grows with the data, so a smaller case would say less, and all of them would take a quarter of an hour. A
    provider that does a part of the work does not have the whole's memory.
    """
    timed = list(timed)
    largest: dict[tuple[str, ...], Case] = {}
    for case in (CASES[name] for name, _ in timed):
        kind = (case.function, case.variant, str(case.shape.get("model", "")))
        if case.function != LIMIT and not case.threads and (kind not in largest or case.bytes > largest[kind].bytes):
            largest[kind] = case
    whole = {(c.name, name) for c in largest.values() for name, way in c.providers.items() if way.part == 1}
    return [key for key in timed if key in whole and key[1] not in COMPILERS]


def peak_of(name: str, provider: str) -> float | None:
    """``peak`` in a fresh process; None if that process dies."""
    ours, theirs = FRESH.Pipe(duplex=False)
    child = FRESH.Process(target=answer, args=(theirs, name, provider))
    child.start()
    theirs.close()
    try:
        found: float | None = ours.recv()
    except EOFError:
        found = None
    finally:
        child.kill()
        child.join()
    return found


def answer(pipe: Connection, name: str, provider: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    pipe.send(peak(CASES[name], provider))


def peak(case: Case, provider: str) -> float | None:
    """MiB by which a call's peak resident memory lies above what there was before it, inputs included.

    None where the system does not reset the peak. What libraries load and start on a first call (code, threads,
    imports) is there before: the provider has then done the smallest case of its function, and pages of files that are
    mapped meanwhile do not count. All that the call itself allocates does: its result, and what it keeps.
    """
    alike = [c for c in CASES.values() if c.function == case.function and provider in c.providers and not c.threads]
    small = min(alike, key=lambda c: (c.variant != case.variant, c.bytes), default=case)
    small.providers[provider].run(small.providers[provider].prepare(small.inputs()))
    given = case.providers[provider].prepare(case.inputs())
    gc.collect()
    if not start_counting():
        return None
    before = resident()
    result = case.providers[provider].run(given)
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
