"""From adapters to batches: which modules, which adapters and which ranks go to the kernels in one call.

Modules of equal shape that the same adapters have with the same ranks form a group: its leading batch dimension. In a
group, adapters are put together by rank, rounded up to a power of two, so that one of r = 256 does not make a thousand
of r = 8 slow; inside such a part they are padded with zero directions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .adapters.model import Adapter
from .errors import TaskvecError

MEMORY = 256 * 2**20  # bytes for the canonical forms and results of one group
FLOAT = 4  # bytes of the fp32 that canonical forms and results are kept in


@dataclass(frozen=True)
class Part:
    """Adapters of similar rank, by position in the zoo, padded to ``rank`` directions."""

    adapters: tuple[int, ...]
    rank: int


@dataclass(frozen=True)
class Group:
    """Modules that are computed together.

    ``resident``: whether the canonical forms of all parts fit into the memory at once; otherwise two parts do.
    """

    modules: tuple[str, ...]
    shape: tuple[int, int]  # (m, n)
    adapters: tuple[int, ...]  # positions in the zoo, ascending; ``parts`` divides them
    parts: tuple[Part, ...]
    resident: bool


def group_modules(adapters: Sequence[Adapter], *, results: int = 12, memory: int = MEMORY) -> list[Group]:
    """Divide every module of a zoo into groups.

    Args:
        adapters: the zoo; names differ, and a module has one shape.
        results: N × N fp32 results that are kept for each module.
        memory: bytes; a group is one module at least, and a part one adapter.

    Raises:
        TaskvecError: a name that comes twice, or a module with two shapes.
    """
    check_zoo(adapters)
    alike: dict[tuple[tuple[int, int], tuple[tuple[int, int], ...]], list[str]] = defaultdict(list)
    for path in module_paths(adapters):
        have = [(i, adapter.modules[path]) for i, adapter in enumerate(adapters) if path in adapter.modules]
        ranks = tuple((i, min(module.rank, *module.shape)) for i, module in have)
        alike[have[0][1].shape, ranks].append(path)
    return [group for (shape, ranks), paths in alike.items() for group in split(paths, shape, ranks, results, memory)]


def split(
    paths: Sequence[str], shape: tuple[int, int], ranks: tuple[tuple[int, int], ...], results: int, memory: int
) -> Iterator[Group]:
    """Groups of as many of the modules as the memory holds, in parts that it holds two of."""
    parts = parts_by_rank(ranks)
    forms = sum(len(part.adapters) * form_bytes(part.rank, shape) for part in parts)
    resident = forms <= memory
    if not resident:
        parts = [piece for part in parts for piece in cut(part, max(1, memory // (2 * form_bytes(part.rank, shape))))]
    # a block of results is there twice while it is copied into place
    together = max(1, memory // (forms + 2 * results * len(ranks) ** 2 * FLOAT))
    for start in range(0, len(paths), together):
        modules = tuple(paths[start : start + together])
        yield Group(modules, shape, tuple(i for i, _ in ranks), tuple(parts), resident)


def parts_by_rank(ranks: tuple[tuple[int, int], ...]) -> list[Part]:
    """One part for the ranks up to each power of two."""
    members: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for i, rank in ranks:
        members[(rank - 1).bit_length()].append((i, rank))
    return [Part(tuple(i for i, _ in some), max(rank for _, rank in some)) for _, some in sorted(members.items())]


def cut(part: Part, size: int) -> list[Part]:
    return [Part(part.adapters[i : i + size], part.rank) for i in range(0, len(part.adapters), size)]


def form_bytes(rank: int, shape: tuple[int, int]) -> int:
    """Bytes of one U and V."""
    return rank * sum(shape) * FLOAT


def module_paths(adapters: Sequence[Adapter]) -> list[str]:
    """Every module path of the zoo, layer 2 before layer 10, whatever the order of the adapters."""
    return sorted({path for adapter in adapters for path in adapter.modules}, key=natural)


def natural(path: str) -> list[str | int]:
    return [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", path))]


def check_zoo(adapters: Sequence[Adapter]) -> None:
    """TaskvecError for no adapter at all, a name that comes twice or a module that has two shapes."""
    if not adapters:
        raise TaskvecError("no adapters", cure="give at least one")
    first: dict[str, tuple[tuple[int, int], str]] = {}
    names: set[str] = set()
    for adapter in adapters:
        if adapter.name in names:
            raise TaskvecError(f"two adapters have the name {adapter.name!r}", cure="give each its own name")
        names.add(adapter.name)
        for path, module in adapter.modules.items():
            shape, owner = first.setdefault(path, (module.shape, adapter.name))
            if shape != module.shape:
                raise TaskvecError(
                    f"module {path} has two shapes",
                    where=adapter.name,
                    got=f"{module.shape[0]} × {module.shape[1]}",
                    expected=f"{shape[0]} × {shape[1]} as in {owner}",
                    cure="compare adapters of one base model: leave one of the two out",
                )
