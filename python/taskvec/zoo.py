"""A zoo: adapters that are compared with each other, and whether they can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TypeVar, Unpack, overload

from .adapters import Adapter, Described
from .errors import TaskvecError, printable
from .formats import Reading, ReadOptions
from .formats.heads import Heads
from .left_out import left_out
from .naming.align import align, no_common_module
from .paths import natural
from .progress import Mode, progress_bar
from .sources import find, load_adapter, read_each

Site = tuple[str, tuple[int, int]]  # a module's path and shape
MOST_ROWS = 20  # of a zoo in a notebook
Compared = TypeVar("Compared", bound=Described)


@dataclass(frozen=True)
class Skipped:
    """An adapter that could not be read and was left out, with the one line that says why."""

    path: Path
    reason: str


@dataclass(frozen=True, repr=False)
class Zoo:
    """Adapters with distinct names: a sequence of them that is indexed by position, slice or name."""

    adapters: tuple[Adapter, ...]
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.adapters)

    def __iter__(self) -> Iterator[Adapter]:
        return iter(self.adapters)

    def __contains__(self, name: object) -> bool:
        return any(name in (adapter.name, adapter) for adapter in self.adapters)

    @overload
    def __getitem__(self, which: int | str) -> Adapter: ...
    @overload
    def __getitem__(self, which: slice) -> Zoo: ...
    def __getitem__(self, which: int | str | slice) -> Adapter | Zoo:
        """KeyError for a name that no adapter has, IndexError for a position that is not there."""
        if isinstance(which, slice):
            return Zoo(self.adapters[which])
        if isinstance(which, int):
            return self.adapters[which]
        found = [adapter for adapter in self.adapters if adapter.name == which]
        if not found:
            raise KeyError(f"no adapter {which!r}; there are {_some([adapter.name for adapter in self.adapters])}")
        return found[0]

    def __repr__(self) -> str:
        names = _some([adapter.name for adapter in self.adapters])
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return printable(f"<taskvec.Zoo: {len(self.adapters)} adapters{skipped} ({names})>")

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        titles = ("adapter", "format", "base model", "modules", "rank")
        shown = self.adapters[:MOST_ROWS]
        rows = [
            (one.name, one.format, one.base_model or "", str(len(one.modules)), " ".join(map(str, _ranks(one))))
            for one in shown
        ]
        more = len(self.adapters) - len(shown)
        return "".join(
            (
                f"<p>{len(self.adapters)} adapters, {len(self.skipped)} skipped</p><table><thead>",
                _html_row("th", titles),
                "</thead><tbody>",
                *(_html_row("td", row) for row in rows),
                _html_row("td", (f"and {more} more",)) if more else "",
                "</tbody></table>",
            )
        )


def load_zoo(
    paths: Iterable[str | Path] | str | Path,
    *,
    recursive: bool = False,
    skip_bad: bool = False,
    progress: Mode | None = None,
    **reading: Unpack[Reading],
) -> Zoo:
    """Read the adapters at and below ``paths``, under one spelling of their modules, and check that some are alike.

    Args:
        paths: adapters and folders of adapters, as ``sources.find`` takes them.
        recursive: search folders that are adapters for more of them.
        skip_bad: leave out what cannot be read, in ``skipped``, instead of raising.
        progress: "auto", "json" or "off" (None).
        reading: as ``load_adapter`` takes it.

    Raises:
        TaskvecError: a bad path or adapter; several adapters of which no two have a module in common.
    """
    zoo = read_adapters(paths, recursive=recursive, skip_bad=skip_bad, progress=progress, **reading)
    adapters, renamed = align(zoo.adapters, ReadOptions(**reading).attention)
    check(adapters)
    return Zoo(adapters, zoo.skipped, (*zoo.warnings, *renamed, *notes(adapters)))


def read_adapters(
    paths: Iterable[str | Path] | str | Path,
    *,
    recursive: bool = False,
    skip_bad: bool = False,
    progress: Mode | None = None,
    **reading: Unpack[Reading],
) -> Zoo:
    """``load_zoo`` without asking whether the adapters can be compared."""
    options = ReadOptions(**reading)
    found, warnings = find([paths] if isinstance(paths, str | Path) else paths, recursive, options)
    adapters: list[Adapter] = []
    skipped: list[Skipped] = []
    with progress_bar(progress, "loading", len(found)) as advance:
        for location, read in zip(found, read_each(found, options), strict=True):
            if not isinstance(read, TaskvecError):
                adapters += read
            elif skip_bad:
                skipped.append(Skipped(location.path, str(read)))
            else:
                raise read
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
    adapters, renamed = align(tuple(map(as_adapter, given)))
    return Zoo(adapters, warnings=(*renamed, *left_out(adapters)))


def as_adapter(given: Adapter | str | Path) -> Adapter:
    """The adapter itself, or the one at a path."""
    return given if isinstance(given, Adapter) else load_adapter(given)


def as_pair(
    a: Adapter | str | Path, b: Adapter | str | Path, heads: Heads | None = None
) -> tuple[Adapter, Adapter, tuple[str, ...]]:
    """Two adapters under one spelling of their modules, and what was renamed; ``heads`` as ``align`` takes them.

    Raises:
        TaskvecError: a path that cannot be read, or no module in common.
    """
    (first, second), renamed = align((as_adapter(a), as_adapter(b)), heads)
    if _sites(first).isdisjoint(_sites(second)):
        raise no_common_module([first, second])
    return first, second, renamed


def check(adapters: Sequence[Described]) -> None:
    """TaskvecError for no adapter at all, a name that comes twice, or several without any module in common."""
    if not adapters:
        raise TaskvecError("no adapters", fix="give at least one")
    name, count = Counter(adapter.name for adapter in adapters).most_common(1)[0]
    if count > 1:
        raise TaskvecError(f"two adapters have the name {name!r}", fix="give each its own name")
    if len(adapters) > 1 and len(groups(adapters)) == len(adapters):
        raise no_common_module(adapters)


def module_paths(adapters: Iterable[Described]) -> list[str]:
    """Every module path of the zoo, layer 2 before layer 10, whatever the order of the adapters."""
    return sorted({path for adapter in adapters for path in adapter.modules}, key=natural)


def disjoint_pairs(adapters: Sequence[Described]) -> list[str]:
    """A warning that counts the pairs of adapters that share no module."""
    sets = list(Counter(map(_sites, adapters)).items())
    apart = sum(n * m for i, (a, n) in enumerate(sets) for b, m in sets[:i] if a.isdisjoint(b))
    pairs = len(adapters) * (len(adapters) - 1) // 2
    return [f"{apart} of {pairs} pairs of adapters share no module: their results are NaN"] if apart else []


def group_names(adapters: Sequence[Compared]) -> tuple[str, ...]:
    """The group of each adapter: what most of the group call their base model.

    Of two groups of one such name the smaller is called ``NAME (2)``.
    """
    names: dict[str, str] = {}  # by adapter
    taken: Counter[str] = Counter()
    for group in groups(adapters):
        called = _base_of(group)
        taken[called] += 1
        name = called if taken[called] == 1 else f"{called} ({taken[called]})"
        names |= dict.fromkeys((adapter.name for adapter in group), name)
    return tuple(names[adapter.name] for adapter in adapters)


def groups(adapters: Sequence[Compared]) -> list[list[Compared]]:
    """Adapters that share modules, directly or through others: what one sweep compares. The largest group first."""
    leader = list(range(len(adapters)))
    first: dict[Site, int] = {}

    def lead(i: int) -> int:
        while leader[i] != i:
            leader[i] = i = leader[leader[i]]
        return i

    for i, adapter in enumerate(adapters):
        for site in _sites(adapter):
            leader[lead(i)] = lead(first.setdefault(site, i))
    found: dict[int, list[Compared]] = {}
    for i, adapter in enumerate(adapters):
        found.setdefault(lead(i), []).append(adapter)
    return sorted(found.values(), key=len, reverse=True)


def _sites(adapter: Described) -> frozenset[Site]:
    return frozenset((path, module.shape) for path, module in adapter.modules.items())


def notes(adapters: Sequence[Described]) -> list[str]:
    """Warnings about adapters that may not belong together, and what a comparison of them does not use."""
    return [*_comparability(adapters), *left_out(adapters)]


def _comparability(adapters: Sequence[Described]) -> list[str]:
    """Warnings about adapters that may not belong together; module paths and shapes decide, names do not."""
    found = groups(adapters)
    warnings = [warning for group in found for warning in (*_base_models(group), *_shapes(group))]
    alone = [group[0].name for group in found if len(group) == 1]
    several = [group for group in found if len(group) > 1]
    if len(several) > 1:
        named = ", ".join(f"{len(group)} of {_base_of(group)}" for group in several[:5])
        more = ", ..." if len(several) > 5 else ""
        warnings.append(
            f"{len(several)} groups of adapters that share no module, each compared by itself: {named}{more}"
        )
    if alone and len(adapters) > 1:
        which = f"{len(alone)} of {len(adapters)} adapters share no module with any other ({_some(alone)})"
        warnings.append(f"{which}: all their pairs are NaN")
    return warnings


def _base_models(group: Sequence[Described]) -> list[str]:
    bases = sorted({adapter.base_model for adapter in group if adapter.base_model is not None})
    if len(bases) < 2:
        return []
    named = f"{len(bases)} different base models are named ({_some(bases)})"
    return [f"{named}; modules of one path and shape are compared"]


def _base_of(group: Sequence[Described]) -> str:
    """What most of a group call their base model, else the first of them."""
    bases = Counter(adapter.base_model for adapter in group if adapter.base_model is not None)
    return bases.most_common(1)[0][0] if bases else f"the base of {group[0].name}"


def _shapes(group: Sequence[Described]) -> list[str]:
    """A warning for modules that a group has in several shapes, as a resized vocabulary gives."""
    first: dict[str, dict[tuple[int, int], str]] = {}
    for adapter in group:
        for path, module in adapter.modules.items():
            first.setdefault(path, {}).setdefault(module.shape, adapter.name)
    several = {path: shapes for path, shapes in first.items() if len(shapes) > 1}
    if not several:
        return []
    path = min(several, key=natural)
    shapes = [f"{m}×{n} in {name}" for (m, n), name in several[path].items()]
    counted = f"{len(several)} module{'s have' if len(several) > 1 else ' has'} several shapes"
    return [f"{counted} ({path}: {_some(shapes)}): left out of the pairs in which they differ"]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _ranks(adapter: Adapter) -> list[int]:
    return sorted({module.rank for module in adapter.modules.values()})


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(printable(cell))}</{tag}>' for cell in cells)}</tr>"
