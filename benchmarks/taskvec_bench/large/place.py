"""Where a figure's zoos, stores and results are, and how large they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..zoos import Recipe, small, square, write_folders


@dataclass(frozen=True)
class Place:
    """A folder for one figure.

    Attributes:
        root: for everything that is made.
        tiny: zoos that take seconds, for tests: every number is then meaningless but there.
    """

    root: Path
    tiny: bool = False

    def count(self, adapters: int) -> int:
        """N: 1,000 adapters, or twenty."""
        return adapters // 50 if self.tiny else adapters

    def recipe(self, adapters: int) -> Recipe:
        """The zoo of the times: N × 16 modules of 1024², r = 8."""
        return square(adapters, 64, 2) if self.tiny else square(adapters)

    def folders(self, first: int, last: int, name: str = "zoo") -> Path:
        """PEFT folders of the adapters from ``first`` up to ``last``, next to those that are there."""
        write_folders(self.root / name, self.recipe(last), range(first, last))
        return self.root / name

    def small_folders(self, adapters: int, broken: float) -> Path:
        write_folders(self.root / "small", small(adapters, broken=broken))
        return self.root / "small"

    def folders_of_12(self, adapters: int) -> Path:
        """Of 12 modules of 64², r = 8."""
        write_folders(self.root / "of-12", square(adapters, 64, 12))
        return self.root / "of-12"

    def store(self, first: int, last: int, name: str = "ZOO") -> Path:
        """A store of the adapters up to ``last``, of which those up to ``first`` are in it."""
        from taskvec.ingestion import ingest

        folders = self.folders(first, last, f"{name}-{last}")
        ingest(sorted(folders.iterdir()), self.root / f"{name}.zarr")
        empty(folders)
        return self.root / f"{name}.zarr"

    def out(self, name: str) -> Path:
        """A name for a result, with nothing there."""
        path = self.root / f"{name}.zarr"
        if path.exists():
            gone = self.root / "gone"
            gone.mkdir(exist_ok=True)
            empty(path.rename(gone / f"{len(list(gone.iterdir()))}.zarr"))
            os.sync()  # so that what is measured next does not pay for it
        return path


def empty(folder: Path) -> None:
    """Take the content of every file, and leave the files.

    For a minute after it has deleted thousands, ext4 takes long to find places for new ones.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            os.truncate(path, 0)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def megabytes(folder: Path) -> float:
    """Of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
