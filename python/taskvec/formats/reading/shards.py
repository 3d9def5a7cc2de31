"""A model's weights in one file or in shards, as one file of tensors: headers are read, tensors stay in the files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import TaskvecError
from .archives import open_weights
from .files import file_errors, member, read_json, regular
from .tensors import TensorFile, Values

STEMS = ("model", "pytorch_model", "diffusion_pytorch_model", "consolidated")
SUFFIXES = (".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pth")
INDEX = ".index.json"
PIPELINE = "model_index.json"  # of diffusers, in the folder above the models'
SHARD = re.compile(r"^(.+)-\d{5}-of-(\d{5})\.(safetensors|bin)$")
MOST_SHARDS = 10_000
COMPLETE = "download the model again, with every shard"


class Shards:
    """Tensors of several files, each opened at once and read when a tensor is asked for."""

    def __init__(self, path: Path, files: Mapping[Path, TensorFile]) -> None:
        self.path, self.files = path, tuple(files)
        self._file_of: dict[str, TensorFile] = {}
        for file in files.values():
            for name in file.shapes:
                if name in self._file_of:
                    got = f"{self._file_of[name].path.name} and {file.path.name}"
                    raise TaskvecError(f"has {name} in two shards", where=path, got=got, fix=COMPLETE)
                self._file_of[name] = file
        self.shapes = {name: file.shapes[name] for name, file in self._file_of.items()}

    def tensor(self, name: str) -> Tensor:
        return self._file_of[name].tensor(name)

    def rows(self, name: str, first: int, last: int) -> Tensor:
        return self._file_of[name].rows(name, first, last)

    def values(self, name: str) -> Values:
        return self._file_of[name].values(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_model, (self.path.absolute(),)


def open_model(path: Path) -> Shards:
    """The weights at ``path``: a model's folder, one of its files, or the index of its shards.

    Raises:
        TaskvecError: nothing there that holds weights, a shard is missing, or a file is broken.
    """
    found = model_file(path)
    if found is None and path.is_dir() and (parts := _parts(path)):
        return Shards(path, parts)
    if found is None:
        expected = "model.safetensors, pytorch_model.bin, or shards with their index"
        raise TaskvecError("holds no weights of a model", where=path, expected=expected, fix="check the path")
    return Shards(path, {file: open_weights(file) for file in _files(found)})


def _files(found: Path) -> list[Path]:
    """All files of a model from the one that stands for it."""
    if match := SHARD.match(found.name):
        return [_needed(found.parent, name) for name in _numbered(match)]
    return _of_index(found) if found.name.endswith(INDEX) else [found]


def _parts(folder: Path) -> dict[Path, TensorFile]:
    """The files of a diffusers pipeline, whose tensors are named after the part that they belong to."""
    if member(folder, PIPELINE) is None:
        return {}
    with file_errors(folder):
        parts = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    found = ((part.name, file) for part in parts if (file := model_file(part)) is not None)
    return {file: Part(open_weights(file), name) for name, one in found for file in _files(one)}


class Part:
    """A file whose tensors have a prefix that is not in it."""

    def __init__(self, file: TensorFile, prefix: str) -> None:
        self.path, self._file, self._prefix = file.path, file, f"{prefix}."
        self.shapes = {self._prefix + name: shape for name, shape in file.shapes.items()}

    def tensor(self, name: str) -> Tensor:
        return self._file.tensor(name.removeprefix(self._prefix))

    def rows(self, name: str, first: int, last: int) -> Tensor:
        return self._file.rows(name.removeprefix(self._prefix), first, last)

    def values(self, name: str) -> Values:
        return self._file.values(name.removeprefix(self._prefix))


def model_file(path: Path) -> Path | None:
    """The file that stands for the weights at ``path``: the one file, the index of the shards, or the first of them."""
    if not path.is_dir():
        return regular(path)
    for stem in STEMS:
        for suffix in SUFFIXES:
            if (file := member(path, stem + suffix)) is not None:
                return file
    with file_errors(path):
        names = sorted(entry.name for entry in path.iterdir() if entry.suffix in (".safetensors", ".bin"))
    shards = [name for name in names if SHARD.match(name)]
    found = shards[:1] or (names if len(names) == 1 else [])
    return member(path, found[0]) if found else None


def _of_index(index: Path) -> list[Path]:
    """The shards that an index names."""
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names or not all(map(_is_file_name, names.values())):
        what = "is no index of shards: weight_map is not usable"
        raise TaskvecError(what, where=index, expected="a file for each tensor", fix=COMPLETE)
    files = sorted(set(names.values()))
    if len(files) > MOST_SHARDS:
        raise TaskvecError(f"names {len(files):,} shards", where=index, expected=f"at most {MOST_SHARDS:,}")
    return [_needed(index.parent, name) for name in files]


def _is_file_name(value: Any) -> bool:
    """Whether it names a file of the same folder."""
    return isinstance(value, str) and bool(value) and Path(value).name == value


def _numbered(match: re.Match[str]) -> list[str]:
    """The names of all shards from that of one."""
    stem, count, suffix = match.groups()
    return [f"{stem}-{number:05}-of-{count}.{suffix}" for number in range(1, min(int(count), MOST_SHARDS) + 1)]


def _needed(folder: Path, name: str) -> Path:
    file = member(folder, name)
    if file is None:
        raise TaskvecError(f"lacks the shard {name}", where=folder, fix=COMPLETE)
    return file
