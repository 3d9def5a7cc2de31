"""A zoo: adapters that are compared with each other, and whether they can be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .adapters import Adapter
from .errors import TaskvecError
from .formats import Dora, ReadOptions, read
from .progress import Mode, progress_bar
from .sources import find, load_adapter


@dataclass(frozen=True)
class Skipped:
    """An adapter that could not be read and was left out, with the one line that says why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Zoo:
    """Adapters with distinct names, whose modules of one path have one shape."""

    adapters: tuple[Adapter, ...]
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()


def load_zoo(
    paths: Iterable[str | Path] | str | Path,
    *,
    recursive: bool = False,
    skip_bad: bool = False,
    dora: Dora = "refuse",
    progress: Mode | None = None,
) -> Zoo:
    """Read the adapters at and below ``paths`` and check that they can be compared.

    Args:
        paths: adapters and folders of adapters, as ``sources.find`` takes them.
        recursive: search folders that are adapters for more of them.
        skip_bad: leave out what cannot be read, in ``skipped``, instead of raising.
        dora: as ``load_adapter`` takes it.
        progress: "auto", "json" or "off" (None).

    Raises:
        TaskvecError: a bad path or adapter, or a module that has two shapes.
    """
    zoo = read_adapters(paths, recursive=recursive, skip_bad=skip_bad, dora=dora, progress=progress)
    check(zoo.adapters)
    return Zoo(zoo.adapters, zoo.skipped, (*zoo.warnings, *_comparability(zoo.adapters)))


def read_adapters(
    paths: Iterable[str | Path] | str | Path,
    *,
    recursive: bool = False,
    skip_bad: bool = False,
    dora: Dora = "refuse",
    progress: Mode | None = None,
) -> Zoo:
    """``load_zoo`` without asking whether the adapters can be compared."""
    found, warnings = find([paths] if isinstance(paths, str | Path) else paths, recursive)
    options = ReadOptions(dora)
    adapters: list[Adapter] = []
    skipped: list[Skipped] = []
    with progress_bar(progress, "loading", len(found)) as advance:
        for location in found:
            try:
                adapters += read(location, options)
            except TaskvecError as error:
                if not skip_bad:
                    raise
                skipped.append(Skipped(location.path, str(error)))
            advance(1)
    if not adapters:
        raise TaskvecError(f"none of {len(found)} adapters can be read, the first because {skipped[0].reason}")
    of_adapters = (f"{adapter.name}: {warning}" for adapter in adapters for warning in adapter.warnings)
    return Zoo(tuple(adapters), tuple(skipped), (*warnings, *of_adapters))


def as_zoo(given: Zoo | str | Path | Sequence[Adapter | str | Path]) -> Zoo:
    """A zoo of what people give: a zoo, paths as ``load_zoo`` takes them, or adapters and paths to single ones."""
    if isinstance(given, Zoo):
        return given
    if isinstance(given, str | Path):
        return load_zoo(given)
    paths = [item for item in given if isinstance(item, str | Path)]
    if paths and len(paths) == len(given):
        return load_zoo(paths)
    return Zoo(tuple(map(as_adapter, given)))


def as_adapter(given: Adapter | str | Path) -> Adapter:
    """The adapter itself, or the one at a path."""
    return given if isinstance(given, Adapter) else load_adapter(given)


def check(adapters: Sequence[Adapter]) -> None:
    """TaskvecError for no adapter at all, a name that comes twice, or a module path that stands for two shapes."""
    if not adapters:
        raise TaskvecError("no adapters", fix="give at least one")
    first: dict[str, Adapter] = {}
    names: set[str] = set()
    for adapter in adapters:
        if adapter.name in names:
            raise TaskvecError(f"two adapters have the name {adapter.name!r}", fix="give each its own name")
        names.add(adapter.name)
        for path, module in adapter.modules.items():
            other = first.setdefault(path, adapter)
            shape = other.modules[path].shape
            if module.shape != shape:
                shapes = [f"{m}×{n} in {name}" for (m, n), name in ((shape, other.name), (module.shape, adapter.name))]
                fix = "they adapt different models: compare them in separate runs"
                raise TaskvecError("has two shapes", where=path, got=" and ".join(shapes), fix=fix)


def module_paths(adapters: Sequence[Adapter]) -> list[str]:
    """Every module path of the zoo, layer 2 before layer 10, whatever the order of the adapters."""
    return sorted({path for adapter in adapters for path in adapter.modules}, key=natural)


def natural(path: str) -> list[str | int]:
    """A key that sorts numbers in a path as numbers."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", path))]


def disjoint_pairs(adapters: Sequence[Adapter]) -> list[str]:
    """A warning that counts the pairs of adapters that share no module."""
    kinds: dict[frozenset[str], int] = {}
    for adapter in adapters:
        have = frozenset(adapter.modules)
        kinds[have] = kinds.get(have, 0) + 1
    sets = list(kinds.items())
    apart = sum(n * m for i, (a, n) in enumerate(sets) for b, m in sets[:i] if a.isdisjoint(b))
    pairs = len(adapters) * (len(adapters) - 1) // 2
    return [f"{apart} of {pairs} pairs of adapters share no module: their results are NaN"] if apart else []


def _comparability(adapters: Sequence[Adapter]) -> list[str]:
    """Warnings about adapters that may not belong together; module paths and shapes decide, names do not."""
    warnings = []
    bases = {adapter.base_model for adapter in adapters if adapter.base_model is not None}
    if len(bases) > 1:
        named = f"{len(bases)} different base models are named ({_some(sorted(bases))})"
        warnings.append(f"{named}; modules of one path and shape are compared")
    owners = Counter(path for adapter in adapters for path in adapter.modules)
    alone = [adapter.name for adapter in adapters if all(owners[path] == 1 for path in adapter.modules)]
    if alone and len(adapters) > 1:
        which = f"{len(alone)} of {len(adapters)} adapters share no module with any other ({_some(alone)})"
        warnings.append(f"{which}: all their pairs are NaN")
    return warnings


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
