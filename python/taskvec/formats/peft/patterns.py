"""PEFT's rule for ``rank_pattern`` and ``alpha_pattern``: regular expressions that end a module's path.

The expressions come out of a downloaded file, and one that backtracks without end must not hang the reader: whatever
is more than a name is matched in a process of its own, against a clock.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import TaskvecError
from . import pattern_match

TIMEOUT_SECONDS = 0.4
START_SECONDS = 30  # until the process runs, on a machine with much else to do
MOST_STEPS = 10_000_000  # of letters that are compared
NAME = re.compile(r"[\w.-]+")
FIX = "write the patterns as plain module names"


def all_matches(patterns: Sequence[str], paths: Sequence[str], where: Path) -> list[list[str]]:
    """For each module path the patterns that match it, in their order; PEFT takes the first.

    Raises:
        TaskvecError: a pattern is no regular expression, or matching takes longer than 0.4 s.
    """
    if not patterns:
        return [[] for _ in paths]
    names = {i: pattern for i, pattern in enumerate(patterns) if NAME.fullmatch(pattern)}
    others = [i for i in range(len(patterns)) if i not in names]
    try:
        found = _match_names(names, paths)
        if others:
            matches = _ask(tuple(patterns[i] for i in others), tuple(paths))
            found = [{*row, *(others[i] for i in more)} for row, more in zip(found, matches, strict=True)]
    except _NoAnswerError as error:
        raise TaskvecError(f"has patterns that cannot be matched: {error}", where=where, fix=FIX) from error
    return [[patterns[i] for i in sorted(row)] for row in found]


def _match_names(names: dict[int, str], paths: Sequence[str]) -> list[set[int]]:
    """For each path the names that end it; a dot in a name is any one character, as in every expression."""
    alike: dict[tuple[int, tuple[int, ...]], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, name in names.items():
        dots = tuple(at for at, letter in enumerate(name) if letter == ".")
        alike[len(name), dots][name].append(i)
    steps = len(alike) * len(paths)
    found: list[set[int]] = []
    for path in paths:
        found.append(set())
        for (length, dots), of_name in alike.items():
            if len(path) == length or path[-length - 1 : -length] == ".":
                steps += length
                if steps > MOST_STEPS:
                    raise _NoAnswerError("there are too many")
                end = list(path[-length:])
                for at in dots:
                    end[at] = "."
                found[-1].update(of_name.get("".join(end), ()))
    return found


class _NoAnswerError(Exception):
    """Why there is no answer."""


class _Matcher:
    """The process that matches; started when it is first asked, and again after one that did not end in time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        atexit.register(self.stop)

    def ask(self, patterns: Sequence[str], paths: Sequence[str]) -> list[list[int]]:
        with self._lock:
            process = self._running()
            answer = self._within(TIMEOUT_SECONDS, process, json.dumps({"patterns": patterns, "paths": paths}))
        if "error" in answer:
            raise _NoAnswerError(str(answer["error"]))
        matches: list[list[int]] = answer["matches"]
        return matches

    def stop(self) -> None:
        """End the process, if this one started it."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.communicate()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self.stop()
            command, pipe = [sys.executable, "-I", "-S", pattern_match.__file__], subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
            self._owner = os.getpid()
            # the start is not the file's fault, and not counted
            self._within(START_SECONDS, self._process, json.dumps({"patterns": [], "paths": []}))
        return self._process

    def _within(self, seconds: float, process: subprocess.Popen[str], question: str) -> dict[str, Any]:
        """The answer to a question; a process that is late is ended, and never asked again."""
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        watch = threading.Timer(seconds, end)
        watch.start()
        try:
            assert process.stdin and process.stdout
            process.stdin.write(f"{question}\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer
        except (OSError, ValueError) as error:
            late.set()
            raise _NoAnswerError(f"it takes longer than {seconds} s") from error
        finally:
            watch.cancel()
            if late.is_set():
                self.stop()


_MATCHER = _Matcher()


@lru_cache(maxsize=16)
def _ask(patterns: tuple[str, ...], paths: tuple[str, ...]) -> list[list[int]]:
    """Adapters of one zoo often have the same patterns and modules."""
    return _MATCHER.ask(patterns, paths)
