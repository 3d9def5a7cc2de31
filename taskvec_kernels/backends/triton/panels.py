"""How a call of ``pairwise`` is cut so that its workspace keeps to a budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

WORKSPACE = 256 * 2**20  # bytes besides inputs and outputs
SHARE = 0.65  # of the room, for the packed rows of x: each further panel of x packs the columns once more


@dataclass(frozen=True)
class Cost:
    """Bytes."""

    x: int  # of a packed adapter of x
    y: int
    pair: int  # d and overlaps of a pair, both directions
    program: int  # scratch of a program
    programs: int  # at most


@dataclass(frozen=True)
class Plan:
    """Counts of one panel."""

    modules: int
    sources: int
    targets: int
    programs: int

    @property
    def smallest(self) -> bool:
        return self.modules == self.sources == self.targets == self.programs == 1


@dataclass(frozen=True)
class Panel:
    modules: slice
    sources: slice
    targets: slice | None  # None: the sources among themselves


def plan(modules: int, N: int, M: int | None, cost: Cost, tiles: int, budget: int) -> Plan:
    """The largest panels that fit ``budget``; M None: N among themselves. ``tiles`` are those of a whole module."""
    programs = max(1, min(cost.programs, budget // 4 // cost.program))
    room = max(0, budget - programs * cost.program)
    targets = N if M is None else M
    whole = N * cost.x + (0 if M is None else M * cost.y) + N * targets * cost.pair
    if whole <= room:
        most = min(modules, room // whole)
        return Plan(max(range(most // 2 + 1, most + 1), key=lambda c: busy(c * tiles, programs)), N, targets, programs)
    sources = int(SHARE * room / cost.x)
    if M is None:
        sources = min(sources, int((0.2 * room / cost.pair) ** 0.5))
    sources = max(1, min(sources, N))
    room -= sources * (cost.x + (sources * cost.pair if M is None else 0))
    return Plan(1, sources, max(1, min(targets, room // (cost.y + sources * cost.pair))), programs)


def busy(tiles: int, programs: int) -> float:
    """Share of the programs at work when each takes a tile at a time."""
    return tiles / (-(-tiles // programs) * programs)


def panels(p: Plan, modules: int, N: int, M: int | None) -> Iterator[Panel]:
    """Every pair once; panels that share their sources follow one another."""
    for module in pieces(0, modules, p.modules):
        for sources in pieces(0, N, p.sources):
            if M is None:
                yield Panel(module, sources, None)
            for targets in pieces(0, sources.start if M is None else M, p.targets):
                yield Panel(module, sources, targets)


def pieces(start: int, stop: int, step: int) -> Iterator[slice]:
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))
