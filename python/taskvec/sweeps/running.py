"""A job computed to its end, by this process alone, with others or in shards; or until a signal stops it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ..errors import TaskvecError
from ..ledger.lease import HeldError, Lease
from ..ledger.records import Record
from ..progress import Advance, Mode, progress_bar
from ..storage import Folder
from ..store.ahead import ahead
from .begin import begin, finish, is_complete, is_current
from .estimate import speed_of
from .job import Job
from .output import make_folder
from .plan import Unit
from .shard import Shard
from .work import Step, Work

POLL = 0.5  # seconds between looks at a result that another process finishes
Engine = Callable[[Job, list[Unit], Advance], None]


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM during a sweep to disk: what was finished is in ``path``; the same command goes on.

    Attributes:
        path: of the result.
        finished: units that are done.
        units: of all of them.
        signal: that stopped it.
    """

    def __init__(self, path: str | Path, finished: int, units: int, number: int) -> None:
        self.path, self.finished, self.units, self.signal = path, finished, units, number
        super().__init__(f"{finished} of {units} blocks are in {path}; continue with the same command")


class Stopped(KeyboardInterrupt):
    """A signal."""

    def __init__(self, number: int) -> None:
        self.signal = number
        super().__init__(signal.Signals(number).name)


def to_disk(job: Job, about: dict[str, Any], progress: Mode, engine: Engine) -> None:
    """Compute what is not on the disk; with another process that does so already, together."""
    if isinstance(job.storage, Folder):
        make_folder(job.storage.root)
    terms = f"{job.context} {job.state}"
    while True:
        try:
            with Lease(job.storage, "swept", terms):
                if not is_complete(job):
                    begin(job, about)
                elif not job.pending():
                    return
                while units := job.pending():
                    compute_units(job, units, progress, engine)
                finish(job, about)
                return
        except HeldError as held:
            if held.terms != terms:
                raise
        help_out(job, progress, engine)


def help_out(job: Job, progress: Mode, engine: Engine) -> None:
    """Compute for a process that holds the lease: from the other end, since what is done twice does no harm."""
    if is_current(job) and (units := job.pending()):
        compute_units(job, units[::-1], progress, engine)
    else:
        time.sleep(POLL)


def to_shard(job: Job, about: dict[str, Any], progress: Mode, engine: Engine, shard: Shard) -> None:
    """Compute what is not on the disk of one part; nobody holds the lease meanwhile. Complete what others completed."""
    if isinstance(job.storage, Folder):
        make_folder(job.storage.root)
    while not is_current(job):
        with leased(job):
            if not is_current(job):
                begin(job, about)
    mine = {unit.name for unit in shard.part(list(job.plan.units()))}
    if units := [unit for unit in job.pending() if unit.name in mine]:
        compute_units(job, units, progress, engine)
    while not job.pending() and not is_complete(job):
        with leased(job):
            finish(job, about)


@contextmanager
def leased(job: Job) -> Iterator[None]:
    """With the lease, as soon as another process of the same sweep has given it back."""
    terms = f"{job.context} {job.state}"
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(Lease(job.storage, "swept", terms))
                break
            except HeldError as held:
                if held.terms != terms:
                    raise
            time.sleep(POLL)
        yield


def compute_units(job: Job, units: list[Unit], progress: Mode, engine: Engine) -> None:
    """Compute some units; whatever stops it, what is committed stays."""
    total = sum(unit.pairs for unit in units)
    try:
        unknown = progress == "off" or units[0].listed or job.options.elsewhere
        speed = None if unknown else speed_of(job.plan, job.options)
        with stop_signals(), progress_bar(progress, job.doing(units[0]), total, speed) as advance:
            engine(job, units, advance)
    except KeyboardInterrupt as stop:
        every = sum(1 for _ in job.units())
        number = getattr(stop, "signal", signal.SIGINT)
        raise SweepInterrupted(job.out, every - len(job.pending()), every, number) from stop


@contextmanager
def disk_errors(out: str | Path) -> Iterator[None]:
    """A disk that is full, or that cannot be written to, is one line that says how to go on."""
    try:
        yield
    except OSError as error:
        what = f"the sweep stopped ({error.strerror or error})"
        fix = "what was computed is there; make room, then continue with the same command"
        raise TaskvecError(what, where=str(out), fix=fix) from error


def steps_read(job: Job, units: Iterable[Unit]) -> Iterator[tuple[Work | None, Step]]:
    """The steps of units with the factors of their blocks read; no work for units that another process has computed."""
    for unit in units:
        job.ledger.refresh()
        if job.is_done(unit):
            yield None, Step(None, unit.pairs, last=True)
            continue
        work = job.work(unit)
        for step in work.steps():
            if step.block is not None:
                work.read(step.block)
            yield work, step


def in_this_process(job: Job, units: list[Unit], advance: Advance) -> None:
    """While the kernels are at a block, the next is read, the last is added up, and the unit before is written."""
    added, written, since = finished(), finished(), time.monotonic()

    def write(work: Work, last_added: Future[Any], seconds: float) -> Record:
        last_added.result()
        return job.commit(work.unit, work.parts(), seconds)

    with (
        ThreadPoolExecutor(1, "taskvec-add") as adder,
        ThreadPoolExecutor(1, "taskvec-write") as writer,
        closing(ahead(steps_read(job, units))) as coming,
    ):
        for work, (block, pairs, last) in coming:
            if work is not None and block is not None:
                result = work.compute(block)
                added.result()  # two results are there at most
                added = adder.submit(work.add, block, result)
                del result
            if work is not None and last:
                written.result()  # and those of two units
                now = time.monotonic()
                written = writer.submit(write, work, added, now - since)
                since = now
            advance(pairs)
        written.result()


def finished() -> Future[Any]:
    """A future that is done."""
    found = Future[Any]()
    found.set_result(None)
    return found


@contextmanager
def stop_signals() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does; only in the main thread, which alone gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
