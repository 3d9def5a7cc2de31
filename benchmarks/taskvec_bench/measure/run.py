"""A whole measurement: fresh processes one after the other, then memory; each row is in the file as it is measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..cases import CASES, pairs
from . import memory
from .fingerprints import of_a_row
from .harness import BROKEN
from .rows import Key, Row, Sample, append_csv, read_csv, to_row, write_csv

HARNESS = Path(__file__).with_name("harness.py")
PYTEST = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", "--benchmark-disable-gc", "--benchmark-columns=min"]


class ProcessFailedError(Exception):
    """The harness itself does not run; the message is the last line of what it printed."""


@dataclass(frozen=True)
class Selection:
    """What is measured: see ``cases.selected``; ``seconds`` is the time for the rounds of a provider in a process."""

    only: str = ""
    quick: bool = False
    device: str = "cpu"
    seconds: float = 0.2
    ours: bool = False  # this package's providers alone

    def pairs(self) -> list[Key]:
        return pairs(self.only, self.quick, self.device, self.ours)


def samples(selection: Selection, tree: Path | None = None) -> Generator[Sample]:
    """A sample for every case and provider, as one fresh process measures them; closing the iterator ends the process.

    What kills the process is refused, and another one goes on with the next. ``tree`` is where the kernels are imported
    from, if not from where this process has them. Raises ProcessFailedError for an error that is no provider's.
    """
    keys = selection.pairs()
    done = 0
    while done < len(keys):
        read, write = os.pipe()
        ask = {**asdict(selection), "skip": done, "samples": f"/dev/fd/{write}"}
        env = {**environment(tree), "TASKVEC_BENCH": json.dumps(ask)}
        command = [sys.executable, "-P", "-m", "pytest", str(HARNESS), f"--rootdir={HARNESS.parent}", *PYTEST]
        with tempfile.TemporaryFile("w+") as printed:
            # a session of its own: Ctrl-C is the parent's
            process = subprocess.Popen(
                command, env=env, pass_fds=[write], stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
            )
            os.close(write)
            try:
                with os.fdopen(read) as lines:
                    for line in lines:
                        done += 1
                        yield Sample(**json.loads(line))
                status = process.wait()
            finally:
                process.kill()
                process.wait()
            printed.seek(0)
            last = (printed.read().strip().splitlines() or [f"exit status {status}"])[-1]
        if status < 0 and done < len(keys):
            yield Sample(*keys[done], refused=f"its process ended ({signal.Signals(-status).name})")
            done += 1
        elif done < len(keys) and status != BROKEN:
            raise ProcessFailedError(last)


def environment(tree: Path | None) -> dict[str, str]:
    """Of a process that imports these cases, the kernels of ``tree``, and otherwise what this one imports."""
    path = [str(Path(__file__).parents[2]), *([str(tree)] if tree else []), *filter(None, sys.path)]
    # pytest-benchmark measures nothing where it thinks that it is a worker of pytest-xdist
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return {**own, "PYTHONPATH": os.pathsep.join(path)}


@dataclass
class Measurement:
    """Of one machine; ``kernels`` are the fingerprints of its tree, and ``say`` gets a line for each sample."""

    selection: Selection
    machine: Mapping[str, str]
    kernels: Mapping[str, str]
    csv: Path | None = None
    say: Callable[[str], None] = print
    samples: dict[Key, list[Sample]] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)  # why a provider has no row: one wrong result is enough
    left_out: dict[str, list[str]] = field(default_factory=dict)  # a module that is not installed → providers
    stopped: str = ""  # why there is not everything

    def run(self, processes: int, with_memory: bool) -> None:
        """Ctrl-C, or a harness that does not run, ends it early: rows are kept and ``stopped`` says why."""
        try:
            for number in range(1, processes + 1):
                with closing(samples(self.selection)) as found:
                    for sample in found:
                        self.take(sample, f"{number}/{processes}")
            if with_memory and self.selection.device == "cpu":
                for key in memory.worth_measuring(key for key in self.samples if key not in self.refused):
                    self.samples[key][0].peak_memory = peak = memory.peak_of(*key)
                    self.say(f"memory {key[0]}: {key[1]}: {'unknown' if peak is None else f'{peak:.1f} MiB'}")
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        except ProcessFailedError as error:
            self.stopped = f"a measuring process failed: {error}"
        if self.csv and (self.samples or self.refused):
            rows = read_csv(self.csv) if self.csv.exists() else {}
            rows |= {(row["case"], row["provider"]): row for row in self.rows()}
            write_csv(self.csv, [row for key, row in rows.items() if key not in self.refused])

    def take(self, sample: Sample, number: str) -> None:
        said, key = f"{number} {sample.case}: {sample.provider}: ", (sample.case, sample.provider)
        if sample.left_out:
            names = self.left_out.setdefault(sample.left_out, [])
            names += [sample.provider] if sample.provider not in names else []
        elif sample.refused:
            self.refused.setdefault(key, sample.refused)
            self.say(f"{said}refused, {sample.refused}")
        else:
            self.samples.setdefault(key, []).append(sample)
            self.say(f"{said}{min(sample.times) * 1e3:.4g} ms")
            if self.csv and key not in self.refused:
                append_csv(self.csv, self.row(key))

    def rows(self) -> list[Row]:
        return [self.row(key) for key in self.samples if key not in self.refused]

    def row(self, key: Key) -> Row:
        case = CASES[key[0]]
        kernels = of_a_row(self.kernels, case.function, case.variant, case.device)
        return to_row(key, self.samples, {**self.machine, "kernels": kernels})
