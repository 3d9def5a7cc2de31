"""What every format gives: where its adapters are, and the adapters themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from ..adapters import Adapter
from ..errors import TaskvecError
from .heads import Heads

Dora = Literal["refuse", "low-rank"]


@dataclass(frozen=True)
class ReadOptions:
    """What a reader has to be told.

    Args:
        dora: "refuse" a DoRA adapter, whose update is not B·A, or take its "low-rank" part with a warning.
        heads: of the base model, which files in Meta's rotary order and fused projections need; None: from the base
            model's config.json, where it is on this machine.
    """

    dora: Dora = "refuse"
    heads: Heads | None = None

    def __post_init__(self) -> None:
        if self.dora not in ("refuse", "low-rank"):
            raise TaskvecError("unknown value of dora", got=repr(self.dora), expected="'refuse' or 'low-rank'")


@dataclass(frozen=True)
class Location:
    """Where an adapter is: recognised by the names of its files, not read yet."""

    name: str  # what to call it
    path: Path  # its folder, or its weights file
    file: Path  # the file that stands for it: two locations of one file are one adapter
    format: Format


class PassedOver(NamedTuple):
    """What was found beside or below adapters and not read, and why."""

    path: Path
    reason: str


class Format(Protocol):
    """A format of adapters; one module or package of this folder each."""

    @property
    def name(self) -> str: ...

    def discover(self, path: Path) -> list[Location]:
        """The adapters of this format at ``path``, a folder or a file; reads names only, and does not descend."""

    def read(self, location: Location, options: ReadOptions) -> list[Adapter]:
        """Read what ``discover`` found. Tensors stay in the file.

        Raises:
            TaskvecError: anything that is wrong with the files, in one line with the fix.
        """
