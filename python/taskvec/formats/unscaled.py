"""Formats whose alpha is in no file: a person has to give it."""

from __future__ import annotations

from pathlib import Path

from ..errors import TaskvecError
from .format import GIVE_SCALE, GivenScale, ReadOptions


def given_scale(options: ReadOptions, rank: int, path: str, where: Path, style: str) -> GivenScale:
    """The scale that ``--alpha`` or ``--scale`` gives the module at a path, of this rank.

    Raises:
        TaskvecError: neither is given for it.
    """
    found = options.given_scale(rank, path)
    if found is None:
        what = f"is an adapter in {style} format: its alpha, and so its scale, is in no file"
        if options.alpha is not None or options.scale is not None:
            what = f"{what}, and none is given for {path}"
        raise TaskvecError(what, where=where, fix=GIVE_SCALE)
    return found
