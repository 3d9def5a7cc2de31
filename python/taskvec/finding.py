"""Where adapters are: the paths someone typed, searched in a bounded way, and a name for each adapter found."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from .adapters import locate
from .adapters.files import reading
from .errors import TaskvecError, printable

MAX_ENTRIES = 100_000


class Found(NamedTuple):
    """An adapter's place and what to call it."""

    name: str
    path: Path


def find_adapters(paths: Iterable[str | Path], recursive: bool = False) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    """The adapters at and below ``paths``, in the order given and by name within a folder, and warnings.

    A path is an adapter's folder, its weights file, or a folder of them. A folder that is an adapter is that adapter
    alone, unless ``recursive``. Hidden folders are not searched and symbolic links to folders not followed.

    Raises:
        TaskvecError: a path with no adapter, one adapter reached twice, a folder of more than 100,000 entries.
    """
    places: list[tuple[str, Path]] = []
    warnings: list[str] = []
    for given in map(Path, paths):
        found, links = _search(given, recursive)
        places += [(str(given) if path == given else path.relative_to(given).as_posix(), path) for path in found]
        if links:
            which = f"{links[0]} and {len(links) - 1} more" if len(links) > 1 else str(links[0])
            warnings.append(f"{which}: symbolic links to folders are not followed; give their targets")
    if not places:
        raise TaskvecError("no path given", cure="give an adapter's folder or a folder of adapters")
    _refuse_twice([path for _, path in places])
    names = _distinct_names(places)
    return tuple(Found(name, path) for name, (_, path) in zip(names, places, strict=True)), tuple(warnings)


def _search(path: Path, recursive: bool) -> tuple[list[Path], list[Path]]:
    """Adapters at or below ``path``, and the links that were not followed."""
    if not os.path.exists(path):
        raise TaskvecError("no such file or directory", where=path, cure="check the path")
    if not path.is_dir():
        return [path], []
    found: list[Path] = []
    links: list[Path] = []
    entries = 0
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        with reading(folder), os.scandir(folder) as scan:
            content = sorted(islice(scan, MAX_ENTRIES + 1 - entries), key=lambda entry: entry.name, reverse=True)
        entries += len(content)
        if entries > MAX_ENTRIES:
            cure = "give narrower folders, or the adapters themselves"
            raise TaskvecError(f"holds more than {MAX_ENTRIES:,} entries", where=path, cure=cure)
        if locate(folder) is not None:
            found.append(folder)
            if not recursive:
                continue
        visible = [entry for entry in content if not entry.name.startswith(".")]
        waiting += [Path(entry.path) for entry in visible if entry.is_dir(follow_symlinks=False)]
        links += [Path(entry.path) for entry in visible if entry.is_symlink() and os.path.isdir(entry.path)]
    if not found:
        what = "holds no adapter" + (" (symbolic links to folders are not followed)" if links else "")
        cure = "give a folder with adapter_config.json and adapter_model.safetensors in or below it"
        raise TaskvecError(what, where=path, cure=cure)
    return found, sorted(links)


def _refuse_twice(paths: list[Path]) -> None:
    """Raise if two of the paths lead to the same file."""
    seen: dict[str, Path] = {}
    for path in paths:
        located = locate(path)
        real = os.path.realpath(located[1] if located else path)
        if real in seen:
            got = f"{seen[real]} and {path}"
            raise TaskvecError("the same adapter is given twice", got=got, cure="give it once")
        seen[real] = path


def _distinct_names(places: list[tuple[str, Path]]) -> list[str]:
    """The names proposed, those that collide replaced by the shortest end of their paths that nothing else has."""
    parts = [Path(os.path.abspath(path)).parts for _, path in places]
    used = [0] * len(places)  # trailing parts of the path in the name; 0: the name proposed
    while True:
        names = [
            printable("/".join(all_parts[-count:]) if count else proposed)
            for (proposed, _), all_parts, count in zip(places, parts, used, strict=True)
        ]
        counts = Counter(names)
        clashes = [i for i, name in enumerate(names) if counts[name] > 1]
        if not clashes:
            return names
        for i in clashes:
            used[i] += 1
            if used[i] > len(parts[i]):
                raise TaskvecError("two adapters have the same name", where=names[i], cure="rename one of the folders")
