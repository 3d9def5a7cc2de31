"""The graph of what holds what: edges from a container to what it contains, and a level for each adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .matrices import Matrices


@dataclass(frozen=True)
class Edge:
    """``source`` holds a share of ``target``; ``both``: the other way passes too, with no more."""

    source: int
    target: int
    captured: float
    both: bool


def inclusion(square: Matrices, captured: float, q: float = 1.0, *, fold: bool = True) -> list[Edge]:
    """Edges between the adapters of a sweep, the strongest first.

    Args:
        square: from ``matrices``.
        captured: share that the source must hold.
        q: at most this; 1 asks for none.
        fold: leave out an edge where a longer way of stronger edges says it already.
    """
    shares = square.values["captured"]
    passes = shares >= captured
    if q < 1:
        passes &= square.values["q"] <= q
    source, target = np.nonzero(passes)
    order = np.argsort(-shares[source, target], kind="stable")
    edges: dict[tuple[int, int], Edge] = {}
    for i, j in zip(source[order].tolist(), target[order].tolist(), strict=True):
        if (j, i) not in edges:
            edges[i, j] = Edge(i, j, float(shares[i, j]), bool(passes[j, i]))
    return folded([*edges.values()]) if fold else [*edges.values()]


def folded(edges: Sequence[Edge]) -> list[Edge]:
    """Edges, the strongest first, without those whose target is reached by stronger ones."""
    out: dict[int, list[int]] = {}
    kept = []
    for edge in edges:
        if edge.target not in reached(out, edge.source):
            out.setdefault(edge.source, []).append(edge.target)
            kept.append(edge)
    return kept


def reached(out: dict[int, list[int]], start: int) -> set[int]:
    """Nodes to which there is a way."""
    seen: set[int] = set()
    stack = [start]
    while stack:
        for node in out.get(stack.pop(), []):
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return seen


def levels(edges: Sequence[Edge]) -> dict[int, int]:
    """A level for each adapter with an edge: what contains is above (a smaller level than) what is contained.

    Edges that would close a circle, the weakest of it, do not count.
    """
    out: dict[int, list[int]] = {}
    level = dict.fromkeys((node for edge in edges for node in (edge.source, edge.target)), 0)
    for edge in edges:
        if edge.source not in reached(out, edge.target):
            out.setdefault(edge.source, []).append(edge.target)
            lower(level, out, edge.source)
    return level


def lower(level: dict[int, int], out: dict[int, list[int]], node: int) -> None:
    """Push everything below ``node`` at least one level down."""
    stack = [node]
    while stack:
        one = stack.pop()
        for below in out.get(one, []):
            if level[below] <= level[one]:
                level[below] = level[one] + 1
                stack.append(below)
