"""A job of units that take as long as a test wants, and count how often they are computed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

from taskvec.storage import Folder

SECONDS = "MADE_JOB_SECONDS"  # in a worker's environment: what a unit takes there
EPOCH = "MADE_JOB_EPOCH"


class Unit(NamedTuple):
    name: str
    pairs: int = 1


@dataclass(frozen=True)
class MadeJob:
    """Writes one file a unit."""

    root: str
    options: ClassVar[Any] = SimpleNamespace(device="cpu")

    @property
    def storage(self) -> Folder:
        return Folder(Path(self.root))

    def key(self, unit: Unit) -> str:
        return unit.name + os.environ.get(EPOCH, "")

    def run(self, unit: Unit) -> str:
        if unit.name == "bad":
            raise ValueError("of this unit")
        if self.storage.tail(unit.name) is None:
            time.sleep(float(os.environ.get(SECONDS, "0")))
            self.storage.append(f"computed/{os.getpid()}", f"{unit.name}\n".encode())
            self.storage.write(unit.name, unit.name.encode())
        return unit.name


def computed(root: Path) -> list[str]:
    """Names of the units, as often as they were computed to the end."""
    return sorted(line for file in (root / "computed").iterdir() for line in file.read_text().split())
