"""A lease on a folder: one process at a time says what is in it, and one that died does not hold it for ever."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from ..errors import TaskvecError
from ..storage import Storage
from .records import OWN

LEASE = f"{OWN}/lease"
BEAT = 10.0  # seconds between heartbeats
STALE = 60.0  # seconds without one, after which the holder counts as gone


class Lease:
    """HeldError from ``with`` on: a file with host, process and a heartbeat.

    No clock is compared with another's: who waits for a holder on another host watches whether its heartbeat changes
    within STALE seconds of its own monotonic clock; on the same host the kernel knows whether the process is there.

    Args:
        folder: a store; the file ``.taskvec/lease`` in it is the lease.
        what: is being done, for the message to others.
        terms: a text that a second process compares with its own before it joins.

    Raises:
        HeldError: another process holds it.
    """

    def __init__(self, folder: Storage, what: str = "written", terms: str = "") -> None:
        self.folder = folder
        self.what, self.terms = what, terms
        self.token = uuid4().hex
        self._beats = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        deadline = time.monotonic() + STALE
        seen: dict[str, Any] | None = None
        while not self._take():
            holder = read(self.folder)
            if holder is None:
                continue  # it was just given back
            if is_alive(holder) or (seen is not None and holder != seen):
                raise HeldError(self.folder.url, holder)
            if seen is None:
                seen = holder
            if is_gone(holder) or time.monotonic() >= deadline:
                self._take_over(holder)
                break
            time.sleep(0.2)
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self.held:
            self.folder.remove(LEASE)

    @property
    def held(self) -> bool:
        """Whether it is still this process's: one that slept for a minute may have lost it."""
        holder = read(self.folder)
        return holder is not None and holder.get("token") == self.token

    def check(self) -> None:
        """TaskvecError when another process has taken over."""
        if not self.held:
            raise TaskvecError(
                "another process has taken over", where=self.folder.url, fix="nothing is lost; run the command again"
            )

    def _text(self) -> bytes:
        about = {
            "host": socket.gethostname(), "boot": boot(), "pid": os.getpid(), "started": started(os.getpid()),
            "token": self.token, "what": self.what, "terms": self.terms, "beats": self._beats,
        }  # fmt: skip
        return json.dumps(about).encode()

    def _take(self) -> bool:
        """Whether there was none."""
        return self.folder.create(LEASE, self._text())

    def _take_over(self, gone: dict[str, Any]) -> None:
        if read(self.folder) == gone:
            self.folder.write(LEASE, self._text())
        time.sleep(0.1)  # who else took over in the same moment has written by now
        if not self.held:
            raise HeldError(self.folder.url, read(self.folder) or gone)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            if not self.held:
                return
            self._beats += 1
            with contextlib.suppress(OSError):  # a full disk: the next one may be written
                self.folder.write(LEASE, self._text())


class HeldError(TaskvecError):
    """Another process holds the lease; ``terms`` are its own."""

    def __init__(self, folder: str, holder: dict[str, Any]) -> None:
        self.terms = str(holder.get("terms", ""))
        who = f"process {holder.get('pid')} on {holder.get('host')}"
        super().__init__(f"is being {holder.get('what', 'written')} by {who}", where=folder, fix="wait until it ends")


def read(folder: Storage) -> dict[str, Any] | None:
    """What a lease says, None where there is none; {} for one that nobody can read."""
    try:
        found = json.loads(folder.read(LEASE))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_alive(holder: dict[str, Any]) -> bool:
    """Whether the process is known to run: on this host, since the same boot, by its number and when it started."""
    return here(holder) and holder.get("started") is not None and holder["started"] == started(int(holder["pid"]))


def is_gone(holder: dict[str, Any]) -> bool:
    """Whether it is known not to run: what is not known of a process on another host needs patience."""
    if not holder:
        return True
    if holder.get("host") == socket.gethostname() and holder.get("boot") not in (None, boot()):
        return True
    return here(holder) and holder.get("started") != started(int(holder["pid"]))


def here(holder: dict[str, Any]) -> bool:
    return holder.get("host") == socket.gethostname() and holder.get("boot") == boot() and "pid" in holder


def boot() -> str | None:
    """What names this run of the kernel; containers on one host share it but not their processes."""
    try:
        space = os.readlink("/proc/self/ns/pid")
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + space
    except OSError:
        return None


def started(pid: int) -> str | None:
    """When a process started, in ticks since the boot; None for one that does not run, or that nobody can ask for."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else after_name[19]
