"""Fresh processes that run the harness, and their samples as they come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

from .rows import Sample

HARNESS = Path(__file__).with_name("harness.py")


class ProcessFailedError(Exception):
    """The harness stopped for another reason than a provider's result; the message ends with what it printed."""


def samples(only: str = "", *, quick: bool = False, seconds: float = 0.5) -> Generator[Sample]:
    """Samples of one fresh process, each when its provider is done. Closing the iterator ends the process.

    Raises:
        ProcessFailedError: the process ended with an error of its own.
    """
    read, write = os.pipe()
    command = [sys.executable, "-m", "pytest", str(HARNESS), "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    command += ["--benchmark-disable-gc", "--benchmark-columns=min", f"--rows=/dev/fd/{write}", f"--only={only}"]
    command += [f"--seconds={seconds}", f"--rootdir={HARNESS.parent}", *(["--quick"] if quick else [])]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, pass_fds=[write], stdout=output, stderr=subprocess.STDOUT)
        os.close(write)
        try:
            with os.fdopen(read) as lines:
                for line in lines:
                    yield Sample(**json.loads(line))
            process.wait()
        finally:
            process.terminate()
            process.wait()
        if process.returncode not in (0, 1):  # 1: a provider was refused, and its sample says so
            output.seek(0)
            raise ProcessFailedError("\n".join(output.read().strip().splitlines()[-15:]))
