"""Recorded answers of the base model and of adapters to the same prompts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import TaskvecError

FIELDS = ("adapter", "prompt", "base", "answer")


@dataclass(frozen=True)
class Answer:
    """One prompt: what the base model answered, and what it did with the adapter."""

    adapter: str
    prompt: str
    base: str
    answer: str


def read_answers(path: Path, names: Sequence[str]) -> list[Answer]:
    """From a file of JSON lines, each an object of FIELDS.

    Raises:
        TaskvecError: no such file, a line that is no such object, or an adapter that is not in the result.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TaskvecError(f"cannot be read as text ({error})", where=path) from error
    found, known = [], set(names)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError as error:
            raise TaskvecError(f"line {number} is no JSON ({error})", where=path) from error
        if not isinstance(item, dict) or not all(isinstance(item.get(name), str) for name in FIELDS):
            expected = "an object with the texts adapter, prompt, base and answer"
            raise TaskvecError(f"line {number} is no answer", where=path, got=line[:80], expected=expected)
        if item["adapter"] not in known:
            what = f"line {number}: no adapter has this name"
            raise TaskvecError(what, where=path, got=repr(item["adapter"]), expected=", ".join(names[:5]))
        found.append(Answer(*(item[name] for name in FIELDS)))
    return found
