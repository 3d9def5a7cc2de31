"""Adapters of every format this package reads; a format is one module with ``NAME``, ``locate`` and ``read``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Protocol, cast

from ..errors import TaskvecError, printable
from . import foreign, peft
from .files import reading
from .model import Adapter, LeftOut, Module

__all__ = ["Adapter", "LeftOut", "Module", "load_adapter", "locate"]

Dora = Literal["refuse", "low-rank"]


class Format(Protocol):
    """What a format gives: a cheap answer from names alone, and the reading itself."""

    NAME: str

    def locate(self, path: Path) -> Path | None:
        """The file that stands for the adapter at ``path`` (a folder or a file), None if it is not of this format."""

    def read(self, path: Path, *, name: str, dora: str) -> Adapter: ...


# asked in this order; the narrower answer comes first
FORMATS = tuple(cast(Format, format) for format in (foreign.MLX, peft, *foreign.OTHERS))


def locate(path: Path) -> tuple[Format, Path] | None:
    """The format of the adapter at ``path`` and the file that stands for it, None if there is no adapter there."""
    with reading(path):
        located = ((format, format.locate(path)) for format in FORMATS)
        return next(((format, file) for format, file in located if file is not None), None)


def load_adapter(path: str | Path, *, name: str | None = None, dora: Dora = "refuse") -> Adapter:
    """Read one adapter: its config, the shapes of its factors, their scales. Factors stay in the mapped file.

    Every factor is read once to look for NaN and Inf, and every file once to hash it.

    Args:
        path: an adapter's folder, or its weights file with the config beside it.
        name: what to call it; the path as given if None.
        dora: "refuse" a DoRA adapter, whose update is not B·A alone, or take its "low-rank" part with a warning.

    Raises:
        TaskvecError: anything that is wrong with the files, in one line with its cure.
    """
    path = Path(path)
    if dora not in ("refuse", "low-rank"):
        raise TaskvecError("dora is unknown", got=repr(dora), expected="'refuse' or 'low-rank'")
    if not os.path.exists(path):
        raise TaskvecError("no such file or directory", where=path, cure="check the path")
    found = locate(path)
    if found is None:
        cure = (
            "give a folder with adapter_config.json and adapter_model.safetensors, or its weights file in such a folder"
        )
        raise TaskvecError("no adapter found here", where=path, cure=cure)
    return found[0].read(path, name=printable(str(path) if name is None else name), dora=dora)
