"""The matching of regular expressions out of downloaded files, a process of its own that nothing else can run in.

It answers lines of JSON, {"patterns", "paths"}, with {"matches"} or {"error"}; it imports the standard library only.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence

MEMORY = 1 << 30


def match(patterns: Sequence[str], paths: Sequence[str]) -> list[list[int]]:
    """For each path the positions of the patterns that match it as PEFT matches: its whole, or its end after a dot."""
    compiled = [re.compile(rf"(.*\.)?({pattern})$") for pattern in patterns]
    return [[i for i, regex in enumerate(compiled) if regex.match(path)] for path in paths]


def answer(question: str) -> dict[str, object]:
    """The answer to one line."""
    asked = json.loads(question)
    for pattern in asked["patterns"]:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError, MemoryError) as error:
            return {"error": f"{pattern[:80]!r} is not a regular expression ({error})"}
    try:
        return {"matches": match(asked["patterns"], asked["paths"])}
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        return {"error": f"its patterns cannot be used ({error})"}


def bound_memory() -> None:
    """No expression takes the machine's memory, where the system can see to it."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):
        pass


if __name__ == "__main__":
    bound_memory()
    for line in sys.stdin:
        print(json.dumps(answer(line)), flush=True)
