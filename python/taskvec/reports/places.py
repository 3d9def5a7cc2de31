"""Whether a file or a folder of results may be written where it is asked for."""

from __future__ import annotations

from pathlib import Path

from ..errors import TaskvecError


def check_file(path: Path, *, overwrite: bool) -> None:
    """TaskvecError, before any work, for a file that must not or cannot be written."""
    if path.exists() and not overwrite:
        raise TaskvecError("exists", where=path, fix="choose another name, or replace it with --overwrite")
    _check_parent(path)


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """TaskvecError, before any work, for a folder in which files must not or cannot be written."""
    if folder.exists() and not folder.is_dir():
        raise TaskvecError("is no folder", where=folder, fix="choose another name")
    _check_parent(folder)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise TaskvecError("is not empty", where=folder, fix="choose another folder, or write into it with --overwrite")


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise TaskvecError("the folder does not exist", where=path.parent, fix="create it first")
