"""The units that the workers of one client have in hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any
from uuid import uuid4

from ..errors import TaskvecError
from . import member
from .crew import Crew

RETRIES = 5  # of a unit that raises
LOSSES = 3  # times that a unit may be handed in again after it ended Dask's number of workers
WINDOW = 2  # units given to the workers for each that they can compute at a time
POLL = 0.5  # seconds
HOPE = 30.0  # seconds in which, when every worker is refused, others may come
SLOW, SLOW_SECONDS = 4.0, 10.0  # a unit that takes so many times the median, and so long, is given away again


@dataclass
class Sent:
    """A unit in hand."""

    unit: Any
    to: frozenset[str]  # who may compute it
    since: float
    again: bool = False  # given away a second time


class Flight:
    """Has units computed, through one client of ``distributed``, while there is one.

    Args:
        client: connected.
        crew: its workers that take part.
        left: units by name; each is removed when it is done.
        advance: gets its pairs then.
        say: is told in one line what the user should know.
    """

    def __init__(
        self,
        client: Any,
        crew: Crew,
        left: dict[str, Any],
        advance: Callable[[int], None],
        say: Callable[[str], None],
    ) -> None:
        self.client, self.crew, self.left, self.advance, self.say = client, crew, left, advance, say
        self.sent: dict[Any, Sent] = {}  # by future
        self.ended: SimpleQueue[Any] = SimpleQueue()  # futures
        self.seconds: list[float] = []  # that units took, from when they were sent
        self.losses: dict[str, int] = {}
        self.alone: float | None = None  # since when there is no worker

    def land(self) -> None:
        """Return when nothing is left.

        Raises:
            TaskvecError: a unit fails, or every worker is refused.
            OSError, RuntimeError: the scheduler is gone.
        """
        try:
            while self.left:
                self._someone()
                self._send()
                self._wait()
        finally:
            if self.client.status == "running":
                self.client.cancel(list(self.sent), force=True)
                self.crew.dismiss()

    def _someone(self) -> None:
        """Look who is there, and take back what only those have who are gone."""
        self.crew.refresh()
        here = self.crew.members.keys()
        for future, sent in list(self.sent.items()):
            if here.isdisjoint(sent.to):
                self._forget(future)
        if here:
            self.alone = None
        elif self.alone is None:
            self.alone = time.monotonic()
            self.say("waiting for workers")
        elif self.crew.refused and time.monotonic() - self.alone > HOPE:
            address, reason = next(iter(self.crew.refused.items()))
            raise TaskvecError(
                f"none of {len(self.crew.refused)} workers can take part: {address} {reason}",
                fix="start workers that see the same files, with this version of taskvec",
            )

    def _send(self) -> None:
        """Keep every worker busy; at the end give away once more what takes too long."""
        in_hand = {sent.unit.name for sent in self.sent.values()}
        room = WINDOW * self.crew.at_once - len(self.sent)
        for name, unit in self.left.items():
            if room <= 0:
                return
            if name not in in_hand:
                self._submit(unit, self.crew.members)
                room -= 1
        if self.left and self.seconds:
            self._send_again()

    def _send_again(self) -> None:
        """Whoever has nothing to do is given what others take too long for: it does no harm to compute a unit twice."""
        busy = self.client.processing()
        idle = [address for address in self.crew.members if not busy.get(address)]
        late = time.monotonic() - max(SLOW * median(self.seconds), SLOW_SECONDS)
        for sent in list(self.sent.values()) if idle else ():
            if sent.since < late and not sent.again:
                sent.again = True
                self._submit(sent.unit, idle, again=True)

    def _submit(self, unit: Any, to: Any, again: bool = False) -> None:
        addresses = sorted(to)
        if addresses:
            future = self.client.submit(
                member.run,
                self.crew.terms.token,
                unit,
                self.crew.threads,
                key=f"taskvec-{unit.name}-{uuid4().hex[:8]}",
                workers=addresses,
                resources=self.crew.resources or None,
                retries=RETRIES,
                pure=False,
            )
            self.sent[future] = Sent(unit, frozenset(addresses), time.monotonic(), again)
            future.add_done_callback(self.ended.put)

    def _wait(self) -> None:
        """Take in what has ended."""
        with suppress(Empty):
            future = self.ended.get(timeout=POLL)
            while True:
                self._take(future)
                future = self.ended.get_nowait()

    def _take(self, future: Any) -> None:
        sent = self.sent.get(future)
        if sent is None:
            return  # it was taken back
        if future.status == "finished":
            self.seconds.append(time.monotonic() - sent.since)
            if self.left.pop(sent.unit.name, None) is not None:  # the first of two
                self.advance(sent.unit.pairs)
        elif future.status == "error":
            self._failed(sent.unit, future.exception())
        self._forget(future)

    def _failed(self, unit: Any, error: Any) -> None:
        """TaskvecError unless it may go better the next time."""
        if unit.name not in self.left:
            return
        if type(error).__name__ == "KilledWorker":
            self.losses[unit.name] = self.losses.get(unit.name, 0) + 1
            if self.losses[unit.name] < LOSSES:
                return
            raise TaskvecError(
                f"workers die of unit {unit.name}", fix="give them more memory; what is finished is kept"
            ) from error
        if isinstance(error, TaskvecError):
            raise error
        raise TaskvecError(
            f"unit {unit.name} failed ({type(error).__name__}: {error})",
            fix="what is finished is kept; run the same command again",
        ) from error

    def _forget(self, future: Any) -> None:
        """What was computed is in the ledger: nobody need keep the future."""
        del self.sent[future]
        future.cancel(force=True) if future.status == "pending" else future.release()
