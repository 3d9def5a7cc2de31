"""Two versions of the kernels, asked in turn."""

from __future__ import annotations

import contextlib
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from .case import Case
from .ratios import Ratio, paired
from .version import CompareError, RefusedError, Version

SITTINGS = 3  # fresh processes of a case: the placement of a process makes its kernels some percent faster or slower
LEAST = 0.02  # seconds of a bundle of calls, so that one of them is not interrupted
PAUSE = 0.02  # an OpenMP thread without work spins about that long
FEWEST = 18  # rounds: of fewer, 80 % on one side say little
MOST_SECONDS = 10.0  # of calls of one provider, unless those are fewer rounds


@dataclass(frozen=True)
class Outcome:
    """One provider of one case. Seconds of a call of each version, the median over the rounds."""

    case: str
    provider: str
    ratio: Ratio
    today: float
    other: float


@dataclass(frozen=True)
class LeftOut:
    """A provider that one version does not have or gets wrong."""

    case: str
    provider: str
    version: str
    why: str


Pair = tuple[Version, Version]
Times = tuple[list[float], list[float]]  # today's and the other's, by round


@dataclass(frozen=True)
class Trees:
    """Folders with the two packages; ``name`` is that of ``other``."""

    today: Path
    other: Path
    name: str

    @contextmanager
    def processes(self) -> Iterator[Pair]:
        """A fresh process for each tree's kernels; neither is left at the end.

        Raises:
            CompareError: the trees are one, or a version does not import, or not from its tree.
        """
        if self.today.resolve() == self.other.resolve():
            raise CompareError(f"today and {self.name} are both {self.today}")
        with contextlib.ExitStack() as stack:
            pair = Version("today", self.today), Version(self.name, self.other)  # both import at once
            for version in pair:
                stack.callback(version.errors.close)
                stack.callback(version.close)
            for version in pair:
                version.wait()
            yield pair


def compared(case: Case, trees: Trees, rounds: int) -> Iterator[Outcome | LeftOut]:
    """Every provider of ``case`` that is ours: checked in both versions, then timed in at most ``rounds`` rounds."""
    names = [name for name in case.providers if name.startswith("ours/")]
    times: dict[str, Times] = {name: ([], []) for name in names}
    left_out: dict[str, LeftOut] = {}
    with tempfile.TemporaryDirectory(prefix="taskvec-compare-") as folder:
        file = Path(folder) / "inputs.pt"
        save(case, names, file)
        for number in range(SITTINGS):
            with trees.processes() as pair:
                for name in [name for name in names if name not in left_out]:
                    try:
                        for version in pair if number % 2 else reversed(pair):  # neither always first
                            version.ask(do="load", case=case.name, file=str(file))
                        for all_times, more in zip(times[name], sitting(name, pair, rounds), strict=True):
                            all_times += more
                    except RefusedError as error:
                        left_out[name] = LeftOut(case.name, name, error.version, str(error))
    for name in names:
        if name in left_out:
            yield left_out[name]
        else:
            today, other = map(statistics.median, times[name])
            yield Outcome(case.name, name, paired(*times[name]), today, other)


def save(case: Case, names: Sequence[str], file: Path) -> None:
    """Inputs, and truths of the providers ``names``, made by this process: neither version judges itself."""
    inputs = case.inputs()
    shared = None
    truths = {}
    for name in names:
        own = case.providers[name].truth
        if own is None and shared is None:
            shared = case.truth(inputs)
        truths[name] = shared if own is None else own(inputs)
    torch.save((inputs, truths), file)


def sitting(provider: str, pair: Pair, rounds: int) -> Times:
    """Times of a share of the rounds; raises RefusedError where a version does not give the reference's result."""
    slowest = max(version.ask(do="check", provider=provider)["seconds"] for version in pair)
    calls = max(1, math.ceil(LEAST / slowest))
    rounds = min(rounds, max(FEWEST, int(MOST_SECONDS / (2 * calls * slowest))))
    times: Times = ([], [])
    for turn in range(math.ceil(rounds / SITTINGS)):
        for which in (0, 1) if turn % 2 == 0 else (1, 0):  # A B B A: a drift meets both alike
            time.sleep(PAUSE)
            times[which].append(pair[which].ask(do="time", provider=provider, calls=calls)["seconds"])
    return times
