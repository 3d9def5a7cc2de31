"""A result folder that gets its name only when it is whole, and never replaces what it should not."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from uuid import uuid4

from ..errors import TaskvecError


class Output:
    """Writes to a temporary folder next to ``path`` and renames it.

    Raises:
        TaskvecError: ``path`` exists and ``overwrite`` is False, or it is no Zarr store; its folder is missing or
            cannot be written to.
    """

    def __init__(self, path: str | Path, *, overwrite: bool) -> None:
        self.path = Path(path)
        check_output(self.path, overwrite=overwrite)
        self.temporary = self.path.with_name(f".{self.path.name}.{uuid4().hex[:12]}")
        try:
            self.temporary.mkdir()
        except OSError as error:
            raise TaskvecError(
                f"cannot write here ({error.strerror})", where=self.path.parent, fix="choose another output path"
            ) from error

    def commit(self) -> None:
        """Give the whole result its name; an older one goes only now."""
        old = None
        try:
            if exists(self.path):
                old = self.path.rename(self.path.with_name(f"{self.temporary.name}.old"))
            self.temporary.rename(self.path)
        except BaseException as error:
            if old is not None and not exists(self.path):
                old.rename(self.path)
            if isinstance(error, OSError):
                raise TaskvecError(
                    f"cannot be put in place ({error.strerror})",
                    where=self.path,
                    fix=f"the whole result is in {self.temporary}: move it by hand",
                ) from error
            raise
        if old is not None:
            shutil.rmtree(old)

    def keep_partial(self) -> Path:
        """Keep what there is, under the name itself or, where an older result has it, next to that; says where."""
        name = self.path
        for i in count(1):
            if not exists(name):
                break
            name = self.path.with_name(f"{self.path.stem}.partial{'' if i == 1 else i}{self.path.suffix}")
        return self.temporary.rename(name)

    def discard(self) -> None:
        shutil.rmtree(self.temporary, ignore_errors=True)


def check_output(path: Path, *, overwrite: bool) -> None:
    """TaskvecError when a result must not be written to ``path``."""
    if path.name in ("", ".."):
        raise TaskvecError("is not a name for a result", where=path, fix="name a folder, e.g. OUT.zarr")
    if not path.parent.is_dir():
        raise TaskvecError("the folder does not exist", where=path.parent, fix="create it first")
    if not exists(path):
        return
    if path.is_symlink():
        raise TaskvecError("is a link", where=path, fix="name the folder itself, or choose another output path")
    if not any((path / name).is_file() for name in ("zarr.json", ".zgroup")):
        raise TaskvecError("exists and is not a Zarr store", where=path, fix="choose another output path")
    if not overwrite:
        raise TaskvecError(
            "exists", where=path, fix="choose another output path, or replace it with --overwrite (overwrite=True)"
        )


def exists(path: Path) -> bool:
    """Whether the name is taken, also by a link that leads nowhere."""
    return path.exists() or path.is_symlink()
