"""A zoo: adapters that are compared with each other, and whether they can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .adapters import Dora, load_adapter
from .adapters.model import Adapter
from .errors import TaskvecError
from .finding import find_adapters
from .progress import Mode, progress_bar


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
        paths: adapters and folders of adapters, as ``find_adapters`` takes them.
        recursive: search folders that are adapters for more of them.
        skip_bad: leave out what cannot be read, in ``skipped``, instead of raising.
        dora: as ``load_adapter`` takes it.
        progress: "auto", "json" or "off" (None).

    Raises:
        TaskvecError: a bad path or adapter, or a module that has two shapes.
    """
    zoo = read_adapters(paths, recursive=recursive, skip_bad=skip_bad, dora=dora, progress=progress)
    _refuse_two_shapes(zoo.adapters)
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
    found, warnings = find_adapters([paths] if isinstance(paths, str | Path) else paths, recursive)
    adapters: list[Adapter] = []
    skipped: list[Skipped] = []
    with progress_bar(progress, "loading", len(found)) as advance:
        for name, path in found:
            try:
                adapters.append(load_adapter(path, name=name, dora=dora))
            except TaskvecError as error:
                if not skip_bad:
                    raise
                skipped.append(Skipped(path, str(error)))
            advance(1)
    if not adapters:
        raise TaskvecError(f"none of {len(found)} adapters can be read, the first because {skipped[0].reason}")
    of_adapters = (f"{adapter.name}: {warning}" for adapter in adapters for warning in adapter.warnings)
    return Zoo(tuple(adapters), tuple(skipped), (*warnings, *of_adapters))


def _refuse_two_shapes(adapters: Sequence[Adapter]) -> None:
    """Raise if a module path stands for matrices of two shapes: those are different models."""
    first: dict[str, Adapter] = {}
    for adapter in adapters:
        for path, module in adapter.modules.items():
            other = first.setdefault(path, adapter)
            shape = other.modules[path].shape
            if module.shape != shape:
                shapes = [f"{m}×{n} in {name}" for (m, n), name in ((shape, other.name), (module.shape, adapter.name))]
                cure = "they adapt different models: compare them in separate runs"
                raise TaskvecError("has two shapes", where=path, got=" and ".join(shapes), cure=cure)


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
