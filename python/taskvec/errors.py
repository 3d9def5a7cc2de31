"""The one error people meet: what, where, got, expected and the fix, in one line."""

from __future__ import annotations

from pathlib import Path

LONGEST = 1000  # characters of what is wrong: libraries put whole files into their errors


class TaskvecError(Exception):
    """Bad input, told to the person who gave it.

    Args:
        what: what is wrong, e.g. ``"lora_A has no lora_B"``.
        where: the file, adapter or module where it was found.
        got: what was there.
        expected: what would have been right.
        fix: what to do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        got: str | None = None,
        expected: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.where, self.got, self.expected, self.fix = what, where, got, expected, fix
        super().__init__(what)

    def __str__(self) -> str:
        what = self.what if len(self.what) <= LONGEST else f"{self.what[:LONGEST]}..."
        text = f"{self.where}: {what}" if self.where is not None else what
        if self.got is not None:
            text += f", got {self.got}"
        if self.expected is not None:
            text += f", expected {self.expected}"
        if self.fix is not None:
            text += f"; {self.fix}"
        return printable(text)


def printable(text: str) -> str:
    """``text`` on one line, with control characters escaped: names in files may be hostile."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
