"""A whole measurement: fresh processes one after the other, then memory, to rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace

from . import memory, processes
from .fingerprints import fingerprints, of_a_row
from .machine import described, source_tree
from .registry import CASES, selected
from .rows import Row, Sample, to_rows

SECONDS = 0.2
PROCESSES = 3
PACKAGES = {"vlora": "vlora-dev"}  # on PyPI, where the module has another name

Advance = Callable[[int], None]
Progress = Callable[[str, int], AbstractContextManager[Advance]]  # a label and the number of steps


@dataclass(frozen=True)
class Refused:
    """A provider whose result is wrong, and why: it has no row."""

    case: str
    provider: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What a measurement gave. ``left_out``: by what to install, the providers that want it."""

    rows: list[Row]
    refused: list[Refused]
    left_out: Mapping[str, list[str]]
    machine: Mapping[str, str]
    stopped: str = ""  # why there is not everything, and what the rows rest on
    interrupted: bool = False  # by Ctrl-C

    @property
    def wrong(self) -> bool:
        """Whether a kernel of this package gave a wrong result."""
        return any(item.provider.startswith("ours/") for item in self.refused)


@contextmanager
def silent(label: str, total: int) -> Iterator[Advance]:
    yield lambda steps: None


def run(
    only: str = "",
    *,
    quick: bool = False,
    count: int = PROCESSES,
    seconds: float = SECONDS,
    with_memory: bool = True,
    progress: Progress = silent,
) -> Outcome:
    """Measure the cases whose name matches ``only`` in ``count`` fresh processes, then their memory.

    Ctrl-C, or a process that fails, ends it early: the outcome then has what was done and says why it stopped.
    """
    machine, kernels = described(), fingerprints(source_tree())  # before: the working tree may change meanwhile
    samples: list[Sample] = []
    peaks: dict[memory.Pair, float | None] = {}
    stopped, interrupted = "", False
    try:
        steps = sum(len(case.providers) for case in selected(only, quick=quick))
        with progress("measuring", count * steps) as advance:
            for _ in range(count):
                with closing(processes.samples(only, quick=quick, seconds=seconds)) as found:
                    for sample in found:
                        samples.append(sample)
                        advance(1)
        if with_memory:
            measure_memory(samples, peaks, progress)
    except KeyboardInterrupt:
        stopped, interrupted = "interrupted", True
    except processes.ProcessFailedError as error:
        stopped = f"a measuring process failed: {''.join(str(error).splitlines()[-1:]) or 'it said nothing'}"
    kept = [replace(s, peak_memory=peaks.get((s.case, s.provider))) for s in whole(samples)]
    refused = {(s.case, s.provider): Refused(s.case, s.provider, s.refused) for s in reversed(kept) if s.refused}
    rows = to_rows((s for s in kept if (s.case, s.provider) not in refused), machine)
    rows = [replace(row, kernels=of_a_row(kernels, row.function, row.variant)) for row in rows]
    if stopped:
        stopped += f"; {resting(rows, count)}"
    return Outcome(rows, list(refused.values())[::-1], missing(kept), machine, stopped, interrupted)


def measure_memory(samples: list[Sample], peaks: dict[memory.Pair, float | None], progress: Progress) -> None:
    """Put into ``peaks`` what each provider of ``memory.worth_measuring`` takes, one after the other."""
    wrong = {(sample.case, sample.provider) for sample in samples if sample.refused}
    pairs = [pair for pair in memory.worth_measuring(samples) if pair not in wrong]
    with progress("measuring memory", len(pairs)) as advance, closing(memory.peaks(pairs)) as found:
        for pair, peak in found:
            peaks[pair] = peak
            advance(1)


def whole(samples: list[Sample]) -> list[Sample]:
    """Samples of the cases of which every provider was tried: merged, they take the place of all the case's rows."""
    tried: dict[str, set[str]] = {}
    for sample in samples:
        tried.setdefault(sample.case, set()).add(sample.provider)
    return [sample for sample in samples if tried[sample.case] >= set(CASES[sample.case].providers)]


def missing(samples: list[Sample]) -> dict[str, list[str]]:
    """By the package that is not installed, the names of the providers that need it."""
    found: dict[str, list[str]] = {}
    for sample in samples:
        if sample.left_out:
            names = found.setdefault(PACKAGES.get(sample.left_out, sample.left_out), [])
            if sample.provider not in names:
                names.append(sample.provider)
    return found


def resting(rows: list[Row], count: int) -> str:
    """What the rows of a measurement that was to have ``count`` processes rest on."""
    numbers = sorted({len(row.minima.split()) for row in rows})
    if not numbers:
        return "no case was done"
    if numbers == [count]:
        return f"the rows rest on all {count} processes, some without their memory"
    return f"the rows rest on {' or '.join(map(str, numbers))} of {count} processes"
