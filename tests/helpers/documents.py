"""What a document shows: its blocks of code, the commands and make targets in them, and the files it names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path


def blocks(document: Path, language: str = "") -> list[str]:
    """Fenced blocks of one language; without one, those that name none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def commands(document: Path, program: str) -> Iterator[list[str]]:
    """Arguments of each line of a block that runs ``program``; its comment is left out."""
    for block in [text for language in ("", "sh", "bash") for text in blocks(document, language)]:
        for line in block.splitlines():
            words = shlex.split(line, comments=True) if line.startswith(f"{program} ") else []
            if words:
                yield words[1:]


def make_targets(document: Path) -> set[str]:
    """Targets of ``make`` in blocks and between backticks."""
    return set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", document.read_text(), re.MULTILINE))


def named_files(document: Path) -> set[str]:
    """What stands between backticks and looks like the path of a source or a document."""
    return set(
        re.findall(r"`([\w.-]+(?:/[\w.-]+)+\.(?:cff|cpp|csv|cu|h|md|png|py|pyi|toml|yml))`", document.read_text())
    )
