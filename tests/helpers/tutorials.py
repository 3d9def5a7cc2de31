"""Tutorials are run: the Python blocks of a page one after the other, and the commands of its console blocks.

What they print is on the page, as a block ``text`` after a Python block and below each command.
``python tests/helpers/tutorials.py`` writes it again.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from taskvec.cli import main

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$(?:\n\n^```text\n.*?^```$)?", re.MULTILINE | re.DOTALL)
WIDTH = 100


def with_outputs(page: Path) -> str:
    """A page with what its blocks print now, run in a new folder in which ``examples`` is that of the tree."""
    names: dict[str, Any] = {"__name__": "__main__"}

    def again(block: re.Match[str]) -> str:
        language, text = block[1], block[2]
        if language == "console":
            return f"```console\n{''.join(commands_of(text))}```"
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(text, page.name, "exec"), names)
        output = "\n".join(line.rstrip() for line in said.getvalue().splitlines())
        return f"```python\n{text}```" + (f"\n\n```text\n{output}\n```" if output else "")

    before, columns, threads = Path.cwd(), os.environ.get("COLUMNS"), torch.get_num_threads()
    os.environ["COLUMNS"] = str(WIDTH)
    torch.set_num_threads(1)  # for matrices this small
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("examples").symlink_to(ROOT / "examples")
        try:
            return BLOCK.sub(again, page.read_text())
        finally:
            os.chdir(before)
            torch.set_num_threads(threads)
            if columns is None:
                del os.environ["COLUMNS"]
            else:
                os.environ["COLUMNS"] = columns


def commands_of(text: str) -> Iterator[str]:
    """Each command of a console block, and what it prints; its errors where it fails."""
    status = 0
    for command in re.findall(r"^\$ ((?:.*\\\n)*.*)", text, re.MULTILINE):
        yield f"$ {command}\n"
        if command == "echo $?":
            yield f"{status}\n"
            continue
        if command.startswith("taskvec "):
            status, said = in_process(command)
        else:
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
            status, said = done.returncode, done.stdout
        yield "".join(f"{line.rstrip()}\n" for line in said.splitlines())


def in_process(command: str) -> tuple[int, str]:
    """The same without a new Python."""
    said, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        status = main([*shlex.split(command.replace("\\\n", " "))[1:]])
    return status, said.getvalue() + errors.getvalue() * (status != 0)


if __name__ == "__main__":
    for one in [ROOT / name for name in sys.argv[1:]] or TUTORIALS:
        one.write_text(with_outputs(one))
