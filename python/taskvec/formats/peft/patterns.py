"""PEFT's rule for ``rank_pattern`` and ``alpha_pattern``: the first regular expression that ends a module's path.

The expressions come out of a downloaded file, and one that backtracks without end must not hang the reader: whatever
can branch or repeat is matched in a process of its own, against a clock.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ...errors import TaskvecError
from . import pattern_match

TIMEOUT_SECONDS = 20
MATCHES_AT_ONCE = 1_000_000
BRANCHING = re.compile(r"[*+?{|]")


def first_matches(patterns: Sequence[str], paths: Sequence[str], where: Path) -> list[str | None]:
    """For each module path the pattern that ``peft.utils.other.get_pattern_key`` picks, None without one.

    Raises:
        TaskvecError: a pattern is no regular expression, or matching takes longer than 20 s.
    """
    if not patterns:
        return [None] * len(paths)
    fix = "write the patterns as plain module names"
    for pattern in patterns:
        try:
            re.compile(pattern_match.expression(pattern))
        except (re.error, RecursionError, OverflowError) as error:
            what = f"pattern {pattern[:80]!r} is not a regular expression ({error})"
            raise TaskvecError(what, where=where, fix=fix) from error
    if len(patterns) * len(paths) <= MATCHES_AT_ONCE and not any(BRANCHING.search(pattern) for pattern in patterns):
        return pattern_match.match(patterns, paths)
    command, question = [sys.executable, "-I", pattern_match.__file__], json.dumps([patterns, paths])
    try:
        done = subprocess.run(command, input=question, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        matches: list[str | None] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise TaskvecError(
            f"its patterns cannot be matched within {TIMEOUT_SECONDS} s", where=where, fix=fix
        ) from error
    return matches
