"""What is known of the tasks of a zoo: which contains which, which are one task, which have nothing to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import TaskvecError

SCHEMA = "taskvec.truth/1"
ALL = "all"  # every relation of a kind together
Kind = Literal["contains", "same", "unrelated"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NAMES = {"contains": ("container", "part"), "same": ("among",), "unrelated": ("between",)}
PAIRS = ("same seed", "other seeds")

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class Relation:
    """P pairs that are related alike.

    Attributes:
        kind: "contains": the target is a part of the source; "same" and "unrelated" have no direction.
        label: of its rows in tables.
        source: (P,) positions of adapters.
        target: (P,)
    """

    kind: Kind
    label: str
    source: Positions
    target: Positions


@dataclass(frozen=True)
class Truth:
    """Of N adapters.

    Attributes:
        relations: no two of them have a pair in common.
        groups: the group of each adapter that has one, by name.
        seeds: (N,) the seed of each adapter, 0 to S − 1; −1 for one that no relation names. Empty where no seeds are
            given.
    """

    relations: tuple[Relation, ...]
    groups: Mapping[str, str]
    seeds: Positions

    def of(self, kind: Kind) -> tuple[Relation, ...]:
        return tuple(one for one in self.relations if one.kind == kind)


def read_truth(given: str | Path | Mapping[str, Any], names: Sequence[str]) -> Truth:
    """From a JSON file, or the same as a mapping (docs/SCORE.md).

    Args:
        given: the file, or its contents.
        names: of the adapters of the result.

    Raises:
        TaskvecError: no such file, anything that the form does not have, an adapter that is not in the result, a pair
            that stands twice, a relation without pairs, or an adapter that a relation names without a seed.
    """
    where = None if isinstance(given, Mapping) else Path(given)
    document = given if isinstance(given, Mapping) else load(Path(given))
    return Reader(document, where, list(names)).truth()


def load(path: Path) -> Mapping[str, Any]:
    """A JSON object; a key that stands twice is an error and not the last of them."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise TaskvecError(f"the key {twice!r} stands twice in one object", where=path, fix="remove one")
        return found

    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=once)
    except OSError as error:
        raise TaskvecError(f"cannot be read ({error.strerror})", where=path) from error
    except ValueError as error:
        raise TaskvecError(f"is no JSON ({error})", where=path) from error
    if not isinstance(document, dict):
        raise TaskvecError("is no truth", where=path, expected="a JSON object")
    return document


class Reader:
    """One document, checked as it is read."""

    def __init__(self, document: Mapping[str, Any], where: Path | None, names: list[str]) -> None:
        self.document, self.where, self.names = document, where, names
        self.position = {name: i for i, name in enumerate(names)}
        self.members: dict[str, list[int]] = {}  # of a group

    def error(self, what: str, **more: str) -> TaskvecError:
        return TaskvecError(what, where=self.where or "truth", **more)

    def truth(self) -> Truth:
        self.keys("the truth", self.document, {"schema", "groups", "seeds", *KINDS}, {"schema"})
        if self.document["schema"] != SCHEMA:
            raise self.error("another schema", got=repr(self.document["schema"]), expected=repr(SCHEMA))
        self.members = self.sets("groups")
        for name in self.members:
            if name in self.position:
                raise self.error(f"{name!r} is the name of a group and of an adapter", fix="call the group otherwise")
        seeds = self.sets("seeds")
        of = np.full(len(self.names) if seeds else 0, -1, np.intp)
        for number, members in enumerate(seeds.values()):
            of[members] = number
        relations = self.relations(of)
        groups = {self.names[i]: group for group, members in self.members.items() for i in members}
        return Truth(relations, groups, of)

    def keys(self, what: str, item: Any, allowed: set[str], needed: set[str]) -> None:
        if not isinstance(item, Mapping):
            raise self.error(f"{what} is no object", got=repr(item)[:80])
        for key in item:
            if key not in allowed:
                raise self.error(f"{what} has an unknown key {key!r}", expected=", ".join(sorted(allowed)))
        for key in sorted(needed - set(item)):
            raise self.error(f"{what} has no {key!r}")

    def sets(self, key: Literal["groups", "seeds"]) -> dict[str, list[int]]:
        """Names → positions; an adapter is in one of them at most."""
        given = self.document.get(key, {})
        if not isinstance(given, Mapping):
            raise self.error(f"{key} is no object", got=repr(given)[:80])
        found, seen = {}, dict[int, str]()
        for name, members in given.items():
            found[name] = [self.adapter(member, f"{key}: {name}") for member in self.texts(f"{key}: {name}", members)]
            for i in found[name]:
                if i in seen:
                    raise self.error(f"{key}: {self.names[i]!r} is in {seen[i]!r} and in {name!r}", fix="remove one")
                seen[i] = name
        return found

    def texts(self, what: str, value: Any) -> list[str]:
        if not isinstance(value, list | tuple) or not value or not all(isinstance(one, str) for one in value):
            raise self.error(f"{what} is no list of names", got=repr(value)[:80])
        return list(value)

    def adapter(self, name: str, what: str) -> int:
        if name not in self.position:
            some = ", ".join(self.names[:5]) + (", …" if len(self.names) > 5 else "")
            raise self.error(f"{what}: the result has no such adapter", got=repr(name), expected=some)
        return self.position[name]

    def adapters(self, name: Any, what: str) -> list[int]:
        """Of a group, or one adapter."""
        if isinstance(name, str) and name in self.members:
            return self.members[name]
        if not isinstance(name, str) or name not in self.position:
            raise self.error(f"{what}: no group and no adapter of the result has this name", got=repr(name))
        return [self.position[name]]

    def relations(self, seeds: Positions) -> tuple[Relation, ...]:
        found: dict[tuple[Kind, str], list[tuple[int, int]]] = {}
        seen: dict[frozenset[int], str] = {}
        for kind in KINDS:
            entries = self.document.get(kind, [])
            if not isinstance(entries, list | tuple):
                raise self.error(f"{kind} is no list", got=repr(entries)[:80])
            for number, entry in enumerate(entries, start=1):
                what = f"{kind}, entry {number}"
                label, pairs = self.entry(kind, entry, what, seeds)
                for pair in pairs:
                    ends = " and ".join(self.names[i] for i in pair)
                    if (before := seen.setdefault(frozenset(pair), what)) is not what:
                        raise self.error(f"{what}: the pair {ends} is in {before} too", fix="name it once")
                found.setdefault((kind, label), []).extend(pairs)
        if not found:
            raise self.error("no relation is named", expected=f"entries under {', '.join(KINDS)}")
        return tuple(
            Relation(kind, label, *np.array(pairs, np.intp).reshape(-1, 2).T) for (kind, label), pairs in found.items()
        )

    def entry(self, kind: Kind, entry: Any, what: str, seeds: Positions) -> tuple[str, list[tuple[int, int]]]:
        """The label and the pairs of one entry."""
        keys = NAMES[kind]
        self.keys(what, entry, {*keys, "relation", "pairs"}, set(keys))
        label, wanted = entry.get("relation", self.default_label(kind, entry)), entry.get("pairs")
        if not isinstance(label, str) or label in ("", ALL):
            raise self.error(f"{what}: no label for a relation", got=repr(label), expected=f"a text other than {ALL!r}")
        if wanted not in (None, *PAIRS):
            raise self.error(f"{what}: pairs", got=repr(wanted), expected=" or ".join(map(repr, PAIRS)))
        if wanted and not len(seeds):
            raise self.error(f"{what}: pairs of {wanted}, but there are no seeds", fix="name the seeds")
        pairs = self.named(kind, entry, what)
        used = np.unique(np.array(pairs, np.intp))
        if len(seeds) and (seeds[used] < 0).any():
            name = self.names[int(used[seeds[used] < 0][0])]
            raise self.error(f"{what}: {name!r} is of no seed", fix="name it under seeds, or leave seeds out")
        if wanted:
            pairs = [(i, j) for i, j in pairs if (seeds[i] == seeds[j]) == (wanted == "same seed")]
        if not pairs:
            raise self.error(f"{what}: there are no such pairs", got=json.dumps(entry, ensure_ascii=False)[:120])
        return label, pairs

    def default_label(self, kind: Kind, entry: Mapping[str, Any]) -> str:
        return f"{entry['container']} ⊃ {entry['part']}" if kind == "contains" else kind

    def named(self, kind: Kind, entry: Mapping[str, Any], what: str) -> list[tuple[int, int]]:
        if kind == "contains":
            one, two = (self.adapters(entry[key], f"{what}: {key}") for key in NAMES[kind])
            if both := set(one) & set(two):
                raise self.error(f"{what}: container and part are the same adapter", got=self.names[min(both)])
            return list(product(one, two))
        (key,) = NAMES[kind]
        sets = [self.adapters(name, f"{what}: {key}") for name in self.texts(f"{what}: {key}", entry[key])]
        every = [i for one in sets for i in one]
        if len(set(every)) < len(every):
            twice = next(i for i in every if every.count(i) > 1)
            raise self.error(f"{what}: {key} names an adapter twice", got=self.names[twice])
        if kind == "same":
            return list(combinations(every, 2))
        return [pair for one, other in combinations(sets, 2) for pair in product(one, other)]
