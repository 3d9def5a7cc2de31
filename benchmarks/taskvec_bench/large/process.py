"""A command in a process of its own: how long it takes, and how much memory it asks for."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLES_A_SECOND = 50


@dataclass(frozen=True)
class Ran:
    """A command that ended.

    Attributes:
        seconds: from start to end, or to its kill.
        anonymous: MiB, the largest sample of its own memory, without pages of files.
        output: what it printed.
    """

    seconds: float
    anonymous: float
    output: str


def run(command: Sequence[str], kill: Callable[[], bool] = lambda: False) -> Ran:
    """Run a command to its end, or SIGKILL it as soon as ``kill`` says so.

    Raises:
        RuntimeError: it fails, with what it said last.
    """
    started, peak, killed = time.perf_counter(), 0.0, False
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, anonymous(process.pid))
            if kill():
                process.kill()
                killed = True
                break
            try:
                process.wait(1 / SAMPLES_A_SECOND)
            except subprocess.TimeoutExpired:
                continue
        ended = time.perf_counter()
        output, errors = process.communicate()
    if process.returncode and not killed:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {errors.strip().splitlines()[-1:]}")
    return Ran(ended - started, peak, output)


def taskvec(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "taskvec", *map(str, arguments)]


def anonymous(pid: int) -> float:
    """MiB of a process now; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024
