"""Work in processes that are killed at random moments, disks that fill up, files that are damaged."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import taskvec.ingestion
import taskvec.sweeps.listed
import taskvec.sweeps.plan
import taskvec.sweeps.run
import taskvec.sweeps.search
from taskvec import storage
from taskvec.workers.dask import Dask

# `make soak` sets it: everything many times
SOAK = bool(os.environ.get("TASKVEC_SOAK"))
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload([__name__])
SIDES = ((1 << 62, 8, 8),)  # small units, so that a small zoo has many


def sweep(zoo: Path, out: Path, keep: str = "all", **options: Any) -> None:
    """A sweep of many small units."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taskvec.sweeps.plan, "SIDES", SIDES)
        for module in (taskvec.sweeps.search, taskvec.sweeps.listed):
            patch.setattr(module, "SIDE", 8)
        taskvec.sweeps.run.sweep(zoo, out, keep=keep, **options)


def sweep_by_workers(zoo: Path, out: Path, keep: str, scheduler: str) -> None:
    """The same by a running cluster."""
    sweep(zoo, out, keep, engine=Dask(scheduler=scheduler))


def ingest(folders: Path, out: Path) -> None:
    """Ingest in many small batches."""
    taskvec.ingestion.ingest(folders, out, memory=1 << 20)


def start(work: Callable[..., None], *arguments: Any, **options: Any) -> Any:
    """A process that has everything imported and does one thing."""
    process = FRESH.Process(target=work, args=arguments, kwargs=options)
    process.start()
    return process


def finish(work: Callable[..., None], *arguments: Any, **options: Any) -> float:
    """Do it in a process to the end; seconds."""
    started = time.monotonic()
    process = start(work, *arguments, **options)
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - started


def kill(after: float, work: Callable[..., None], *arguments: Any, **options: Any) -> bool:
    """SIGKILL it after so many seconds; whether it was still at it."""
    process = start(work, *arguments, **options)
    process.join(after)
    process.kill()
    process.join()
    return bool(process.exitcode)


class FullDiskError(OSError):
    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Crash(BaseException):
    """In the place of a kill: nothing may catch it and go on."""


@contextmanager
def failing_after(writes: int, error: type[BaseException]) -> Iterator[list[int]]:
    """Every write after so many fails, half-way; the list counts them."""
    real, count = storage._write, [0]

    def write(file: int, data: storage.Bytes) -> None:
        count[0] += 1
        if count[0] > writes:
            real(file, bytes(data)[: len(data) // 2])
            raise error()
        real(file, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "_write", write)
        yield count


def files(root: Path) -> dict[str, bytes]:
    """Everything below a store that its readers see, and nothing left half-way."""
    assert not list(root.rglob(f"*{storage.UNFINISHED}"))
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".taskvec" not in path.relative_to(root).parts
    }


def damage(chunks: list[Path], foreign: list[Path], draw: random.Random) -> tuple[set[Path], Callable[[], None]]:
    """Spoil one chunk in one of the ways of disks and people: which files are no longer the same; what undoes it."""
    path, other = draw.sample(chunks, 2)
    while other.read_bytes() == path.read_bytes():
        path, other = draw.sample(chunks, 2)
    before = {one: one.read_bytes() for one in (path, other)}
    data = bytearray(before[path])
    match draw.choice(["bit", "bit", "bit", "cut", "gone", "swapped", "foreign", "empty"]):
        case "bit":
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            path.write_bytes(data)
        case "cut":
            path.write_bytes(data[: draw.randrange(len(data))])
        case "gone":
            path.unlink()
        case "swapped":
            path.write_bytes(before[other])
            other.write_bytes(before[path])
        case "foreign":
            path.write_bytes(draw.choice([one for one in map(Path.read_bytes, foreign) if one != before[path]]))
        case "empty":
            path.write_bytes(b"")

    def undo() -> None:
        for one, content in before.items():
            one.write_bytes(content)

    return {one for one, content in before.items() if not one.exists() or one.read_bytes() != content}, undo
