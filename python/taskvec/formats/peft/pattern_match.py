"""The matching itself, with nothing but the standard library, so that it can run as a process of its own."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence


def expression(pattern: str) -> str:
    """The whole regular expression that PEFT makes of a pattern."""
    return rf"(.*\.)?({pattern})$"


def match(patterns: Sequence[str], paths: Sequence[str]) -> list[str | None]:
    """For each path the first pattern that matches it, None without one."""
    compiled = [(pattern, re.compile(expression(pattern))) for pattern in patterns]
    return [next((pattern for pattern, regex in compiled if regex.match(path)), None) for path in paths]


if __name__ == "__main__":
    json.dump(match(*json.load(sys.stdin)), sys.stdout)
