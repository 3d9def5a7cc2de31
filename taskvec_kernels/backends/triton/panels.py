"""How a call of ``pairwise`` is cut so that its workspace keeps to a budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LEAST, MOST = 2**28, 2**30  # bytes besides inputs and outputs
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
    whole: bool  # one panel holds all

    @property
    def smallest(self) -> bool:
        return self.modules == self.sources == self.targets == self.programs == 1


@dataclass(frozen=True)
class Panel:
    modules: slice
    sources: slice
    targets: slice | None  # None: the sources among themselves


def room(free: int) -> int:
    """Bytes for the workspace of a call that ``LEAST`` does not hold: a quarter of what is free, ``MOST`` at most.

    A power of two, so that the cut, and with it the last bits, does not depend on every byte that others hold.
    """
    return max(LEAST, min(MOST, 1 << (free // 4).bit_length() >> 1))


def plan(modules: int, N: int, M: int | None, cost: Cost, tiles: int, budget: int) -> Plan:
    """The largest panels that fit ``budget``; M None: N among themselves. ``tiles`` are those of a whole module."""
    programs = max(1, min(cost.programs, budget // 4 // cost.program))
    left = max(0, budget - programs * cost.program)
    targets = N if M is None else M
    whole = N * cost.x + (0 if M is None else M * cost.y) + N * targets * cost.pair
    if whole <= left:
        most = min(modules, left // whole)
        most = max(range(most // 2 + 1, most + 1), key=lambda c: busy(c * tiles, programs))
        return Plan(most, N, targets, programs, whole=most == modules)
    sources = int(SHARE * left / cost.x)
    if M is None:
        sources = min(sources, int((0.2 * left / cost.pair) ** 0.5))
    sources = max(1, min(sources, N))
    left -= sources * (cost.x + (sources * cost.pair if M is None else 0))
    return Plan(1, sources, max(1, min(targets, left // (cost.y + sources * cost.pair))), programs, whole=False)


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
