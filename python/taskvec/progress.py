"""Progress on stderr for anything over a second: a bar for people, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Literal

Mode = Literal["auto", "off", "json"]
Advance = Callable[[int], None]
Speed = Callable[[float], dict[str, float]]
SECONDS_BETWEEN_LINES = 0.5


@contextmanager
def progress_bar(mode: Mode | None, label: str, total: int, speed: Speed | None = None) -> Iterator[Advance]:
    """Show how far a loop of ``total`` steps is; the value is called with the number of steps done since the last call.

    ``speed`` says what a number of steps a second means, as numbers by name: a line of JSON gets them too, a bar shows
    them.

    ``auto`` draws a bar on a terminal and in a notebook that has ipywidgets, and is silent otherwise; ``json`` writes
    lines of {"progress": label, "done", "total", "seconds_left"}, the first and the last step always; ``off`` or None
    is silent.
    """
    if mode == "json":
        yield _JsonLines(label, total, speed)
    elif mode == "auto" and (sys.stderr.isatty() or in_notebook()):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        label_column = TextColumn("{task.description}", markup=False)
        rate_column = TextColumn("{task.fields[rate]}", markup=False)
        columns = (label_column, BarColumn(), MofNCompleteColumn(), rate_column, TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=not in_notebook()), transient=True) as bar:
            task = bar.add_task(label, total=total, rate="")
            start = time.monotonic()

            def advance(steps: int) -> None:
                bar.advance(task, steps)
                if speed is not None:
                    found = speed(bar.tasks[task].completed / max(time.monotonic() - start, 1e-9))
                    bar.update(
                        task, rate=", ".join(f"{value:.3g} {name.replace('_', ' ')}" for name, value in found.items())
                    )

            yield advance
    else:
        yield lambda steps: None


def in_notebook() -> bool:
    """Whether this runs in Jupyter, and can draw there."""
    return "ipykernel" in sys.modules and find_spec("ipywidgets") is not None


class _JsonLines:
    def __init__(self, label: str, total: int, speed: Speed | None) -> None:
        self._label, self._total, self._speed, self._done = label, total, speed, 0
        self._start, self._written = time.monotonic(), float("-inf")

    def __call__(self, steps: int) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._written < SECONDS_BETWEEN_LINES and self._done < self._total:
            return
        self._written = now
        passed = now - self._start
        left = passed / max(self._done, 1) * (self._total - self._done)
        line = {"progress": self._label, "done": self._done, "total": self._total, "seconds_left": round(left, 1)}
        about = {} if self._speed is None else self._speed(self._done / max(passed, 1e-9))
        print(
            json.dumps(line | {name: float(f"{value:.3g}") for name, value in about.items()}),
            file=sys.stderr,
            flush=True,
        )
