"""Which paths of one adapter are which of others: by the one spelling of both, or by one change of prefix."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..formats.spelling import spelling

Shape = tuple[int, int]
Shapes = Mapping[str, Shape]  # by path
# words of a prefix that name a part of a model; where they differ, so do the modules
PART_OF_MODEL = re.compile(r"vision|visual|image|audio|speech|video|encoder|decoder|draft|replicated|_\d$")
NUMBER = re.compile(r"\.\d+(?=\.)")


@dataclass(frozen=True)
class Unclear:
    """Paths that end alike under prefixes of which none, or more than one, fits."""

    suffix: str
    prefix: str
    others: tuple[str, ...]

    def __str__(self) -> str:
        others = " or ".join(repr(other) for other in self.others[:3])
        return f"{self.suffix} is under {self.prefix!r} in one and under {others} in the other"


def renames(own: Shapes, known: Shapes) -> dict[str, str]:
    """For paths of ``own`` that ``known`` lacks: the path there, of equal shape, when exactly one fits.

    First paths with one spelling in all tools, then prefixes: one of ``own`` for one of ``known``, which have modules
    in common and no word that tells parts of a model apart.
    """
    rest, free = _apart(own, known)
    found = _by_spelling(rest, free)
    rest = {path: shape for path, shape in rest.items() if path not in found}
    taken = set(found.values())
    free = {path: shape for path, shape in free.items() if path not in taken}
    return found | _by_prefix(rest, free)


def differences(own: Shapes, known: Shapes) -> list[Unclear]:
    """How paths that end alike, with equal shapes, begin in either: what was not matched, one for each prefix."""
    rest, free = _apart(own, known)
    here, there = _by_beginning(rest), _by_beginning(free)
    found = []
    for prefix, paths in here.items():
        others = tuple(other for other in there if not paths.keys().isdisjoint(there[other].keys()))
        if others:
            suffix = next(suffix for suffix in paths if suffix in there[others[0]])
            found.append(Unclear(suffix, prefix, others))
    return found


def _apart(own: Shapes, known: Shapes) -> tuple[dict[str, Shape], dict[str, Shape]]:
    rest = {path: shape for path, shape in own.items() if path not in known}
    return rest, {path: shape for path, shape in known.items() if path not in own}


def _by_spelling(own: Shapes, known: Shapes) -> dict[str, str]:
    by_path: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in known:
        part, spelled = spelling(path)
        by_path[spelled].append((part, path))
    found: dict[str, str] = {}
    for path, shape in own.items():
        part, spelled = spelling(path)
        fits = [
            other
            for other_part, other in by_path[spelled]
            if known[other] == shape and (part == other_part or not part or not other_part)
        ]
        if len(fits) == 1:
            found[path] = fits[0]
    return _one_to_one(found)


def _by_prefix(own: Shapes, known: Shapes) -> dict[str, str]:
    here, there = _by_beginning(own), _by_beginning(known)
    fits = {
        prefix: [other for other in there if _alike(prefix, other) and _overlap(paths, there[other], own, known)]
        for prefix, paths in here.items()
    }
    best = {prefix: nearest for prefix, others in fits.items() if (nearest := _nearest(prefix, others)) is not None}
    found: dict[str, str] = {}
    for prefix, other in _one_to_one(best).items():
        found |= {path: there[other][suffix] for suffix, path in here[prefix].items() if suffix in there[other]}
    return found


def _by_beginning(paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """Paths by what stands before the container of the first number, then by the rest."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        match = NUMBER.search(path)
        start = path.rfind(".", 0, match.start() if match else len(path)) + 1
        found[path[: max(start - 1, 0)]][path[start:]] = path
    return dict(found)


def _words(prefix: str) -> set[str]:
    return set(filter(None, prefix.split("."))) - {"model"}


def _alike(a: str, b: str) -> bool:
    """Whether one prefix only adds names to the other, none of them of another part of the model."""
    one, two = _words(a), _words(b)
    return (one <= two or two <= one) and not any(PART_OF_MODEL.search(word) for word in one ^ two)


def _overlap(a: Mapping[str, str], b: Mapping[str, str], own: Shapes, known: Shapes) -> bool:
    common = a.keys() & b.keys()
    return bool(common) and all(own[a[suffix]] == known[b[suffix]] for suffix in common)


def _nearest(prefix: str, others: list[str]) -> str | None:
    """The only one that fits, or the only one of the same words."""
    same = [other for other in others if _words(other) == _words(prefix)]
    candidates = same if len(same) == 1 else others
    return candidates[0] if len(candidates) == 1 else None


def _one_to_one(found: Mapping[str, str]) -> dict[str, str]:
    """What is the only one to go where it goes."""
    times: dict[str, int] = defaultdict(int)
    for other in found.values():
        times[other] += 1
    return {path: other for path, other in found.items() if times[other] == 1}
