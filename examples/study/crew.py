"""Steps handed to worker processes, and how long the rest will take."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Condition

from .steps import Course, Step

FIRST_GUESS = {"base": 60.0, "train": 75.0, "instruct": 240.0, "derive": 10.0, "measure": 30.0}  # seconds


class StepError(Exception):
    """A worker said why, or ended without a word."""


class Worker:
    """One process. A step ends with a line of `done` or `failed`; those of `doing` are passed on."""

    def __init__(self, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-W", "ignore", "-m", f"{__package__}.worker", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, step: Step, report: Callable[[str], None]) -> float:
        """The seconds that it took."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(step) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            message = json.loads(line)
            if "doing" in message:
                report(message["doing"])
            elif "done" in message:
                return float(message["seconds"])
            else:
                raise StepError(f"{step.kind} {step.name}: {message['failed']}")
        raise StepError(f"{step.kind} {step.name}: the worker ended with status {self.process.wait()}")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class Board:
    """The steps that are left, for workers that take one after the other; and how long the rest will take."""

    def __init__(self, course: Course, workers: int) -> None:
        self.course, self.workers = course, workers
        self.left = [step for step in course.steps() if not course.is_done(step)]
        self.missing = set(self.left)  # those that somebody is doing too
        self.taken = defaultdict[str, list[float]](list)
        self.failed = False
        self.changed = Condition()

    def take(self) -> Step | None:
        """The first step whose needs are met; None when nothing is left to take."""
        with self.changed:
            while self.left and not self.failed:
                ready = (step for step in self.left if not self.course.needs(step) & self.missing)
                if (step := next(ready, None)) is not None:
                    self.left.remove(step)
                    return step
                self.changed.wait()
            return None

    def done(self, step: Step, seconds: float) -> str:
        """A line of what was done and what is left."""
        with self.changed:
            self.missing.remove(step)
            self.taken[step.kind].append(seconds)
            self.changed.notify_all()
            left = time.strftime("%H:%M:%S", time.gmtime(self.seconds_left()))
        return f"done: {step.kind} {step.name} in {seconds:.0f} s; {len(self.missing)} steps left, about {left}"

    def fail(self) -> None:
        with self.changed:
            self.failed = True
            self.changed.notify_all()

    def seconds_left(self) -> float:
        """Steps of every kind at their mean so far, or at a first guess, over the workers."""
        means = FIRST_GUESS | {kind: sum(taken) / len(taken) for kind, taken in self.taken.items()}
        return sum(means[step.kind] for step in self.missing) / self.workers


def do_all(board: Board, start: Callable[[], Worker], report: Callable[[str], None]) -> None:
    """Every step that is left.

    Raises:
        StepError: of the first step that failed; what was done before it stays.
    """

    def serve() -> None:
        worker = start()
        try:
            while (step := board.take()) is not None:
                report(board.done(step, worker.do(step, report)))
        except BaseException:
            board.fail()
            raise
        finally:
            worker.close()

    with ThreadPoolExecutor(board.workers) as pool:
        serving = [pool.submit(serve) for _ in range(min(board.workers, len(board.left)))]
        for member in serving:
            member.result()
