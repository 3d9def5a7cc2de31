"""Units computed by the workers of a Dask cluster. What is done stands in the ledger: nothing here needs to survive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from ..errors import TaskvecError
from ..storage import Storage
from .crew import Crew
from .flight import Flight
from .member import Terms

DEATHS = 10  # of workers that a unit may take part in
PATIENCE = 300.0  # seconds without a scheduler
POLL = 1.0


class Job(Protocol):
    """What a sweep hands over; can be pickled."""

    @property
    def storage(self) -> Storage:
        """Where the result is."""

    @property
    def options(self) -> Any:
        """With ``device``."""

    def key(self, unit: Any) -> str:
        """Of what a unit computes, and by which code."""

    def run(self, unit: Any) -> Any:
        """Compute a unit and commit it, unless that is done."""


@dataclass(frozen=True)
class Dask:
    """Runs units on a local cluster of ``workers`` processes, or on the running one of ``scheduler``.

    A worker that is lost costs the units it was at. So does a scheduler: units go on as soon as there is one again.

    Args:
        workers: processes of a local cluster, which share the cores.
        scheduler: address of a running one, e.g. tcp://10.0.0.1:8786, or the .json file that it was told to write.
        say: is told in one line what the user should know.
    """

    workers: int | None = None
    scheduler: str | None = None
    say: Callable[[str], None] = field(default=lambda message: None)

    def __call__(self, job: Job, units: Sequence[Any], advance: Callable[[int], None]) -> None:
        """Have every unit computed; ``advance`` is told the pairs of each once, when it is committed.

        Raises:
            TaskvecError: no dask.distributed; a scheduler that cannot be reached; no worker that can take part; a unit
                that fails again and again. What is finished is kept.
        """
        if not units:
            return
        left = {unit.name: unit for unit in units}

        with nonce(job.storage) as (token, name):
            gpu = job.options.device.startswith("cuda")
            terms = Terms(token, job.storage.url, name, units[0], job.key(units[0]), gpu)
            last = None  # when there was a scheduler
            while left:
                try:
                    with self._client() as client:
                        last = time.monotonic()
                        Flight(client, Crew(client, terms, job, self.say), left, advance, self.say).land()
                except (OSError, RuntimeError) as error:
                    if self.scheduler is None:
                        raise TaskvecError(
                            f"the local cluster of {self.workers} workers ended ({error})",
                            fix="what is finished is kept: run the same command again, with fewer workers",
                        ) from error
                    if last is None:
                        raise TaskvecError(
                            f"no scheduler answers ({error})",
                            where=self.scheduler,
                            fix="start one with dask scheduler, and name its address",
                        ) from error
                    if time.monotonic() - last > PATIENCE:
                        raise TaskvecError(
                            f"the scheduler is gone ({error})",
                            where=self.scheduler,
                            fix="start one again and run the same command: what is finished is kept",
                        ) from error
                    self.say(f"lost the scheduler at {self.scheduler}, trying again ({error})")
                    time.sleep(POLL)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        try:
            import dask
            import distributed as found
        except ImportError as error:
            raise TaskvecError(
                f"workers need dask.distributed ({error})", fix="pip install 'taskvec[dask]', or use --shard k/n"
            ) from error
        distributed: Any = found  # it has no types
        with dask.config.set({"distributed.scheduler.allowed-failures": DEATHS}):
            if self.scheduler is not None:
                address = "scheduler_file" if self.scheduler.endswith(".json") else "address"
                with distributed.Client(**{address: self.scheduler}, name="taskvec", set_as_default=False) as client:
                    yield client
                return
            cluster = distributed.LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address="127.0.0.1:0",  # it wants one; this is seen by nobody else
                silence_logs=50,
            )
            with cluster, distributed.Client(cluster, name="taskvec", set_as_default=False) as client:
                yield client


@contextmanager
def nonce(out: Storage) -> Iterator[tuple[str, str]]:
    """A random token and the file below ``out`` that holds it meanwhile."""
    token = uuid4().hex
    name = f".taskvec/nonce-{token}"
    out.write(name, token.encode())
    try:
        yield token, name
    finally:
        with suppress(OSError):
            out.remove(name)
