"""A Dask scheduler and workers as processes of their own, which tests kill, stop and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 120


class Cluster:
    """Processes of one scheduler's address on 127.0.0.1; logs are files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start_scheduler()

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self.scheduler = self._start("dask_scheduler", options, {}, self.folder)
        return self.scheduler

    def start_worker(self, name: str, *, cwd: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
        options = [self.address, "--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        options += ["--memory-limit", "0", "--local-directory", str(self.folder / name)]
        return self._start("dask_worker", options, environment, cwd or self.folder)

    def wait_for(self, workers: int) -> None:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=SECONDS)

    def _start(self, module: str, options: list[str], also: dict[str, str], cwd: Path) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, [also.pop("PYTHONPATH", ""), *sys.path]))
        log = (self.folder / f"{module}-{len(self.processes)}.log").open("wb")
        command = [sys.executable, "-m", f"distributed.cli.{module}", *options]
        environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | also
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=log, stderr=log)
        log.close()
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.stop()


def until(true: Callable[[], bool]) -> None:
    """Wait for something to become so."""
    for _ in range(SECONDS * 50):
        if true():
            return
        time.sleep(0.02)
    raise TimeoutError(f"not within {SECONDS} s")
