"""The one error people meet: what, where, got, expected, cure, in one line."""

from __future__ import annotations

from pathlib import Path


class TaskvecError(Exception):
    """Bad input, said for the person who reads it.

    Args:
        what: what is wrong, e.g. ``"lora_A has no lora_B"``.
        where: file, adapter or module it was found in.
        got: what was there.
        expected: what would have been right.
        cure: what to do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        got: str | None = None,
        expected: str | None = None,
        cure: str | None = None,
    ) -> None:
        self.what, self.where, self.got, self.expected, self.cure = what, where, got, expected, cure
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where is not None else self.what
        if self.got is not None:
            text += f", got {self.got}"
        if self.expected is not None:
            text += f", expected {self.expected}"
        if self.cure is not None:
            text += f"; {self.cure}"
        return printable(text)


def printable(text: str) -> str:
    """``text`` on one line, with control characters escaped: file and tensor names are hostile input."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
