"""What a store says of a batch of adapters: the attributes of the batch's group, written after all of its arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from ..adapters import LeftOut
from .entry import Entry, ModuleEntry

Modules = Mapping[str, ModuleEntry]


@dataclass(frozen=True)
class ShapeClass:
    """The modules of one shape and rank bucket in a batch: one set of arrays.

    Attributes:
        shape: (m, n).
        rank: k of the arrays.
        modules: their paths, by row.
        adapters: places in the batch, by slot.
        cut: rows and slots of updates of which directions are left out: ‖τ‖ is longer than S.
    """

    shape: tuple[int, int]
    rank: int
    modules: tuple[str, ...]
    adapters: tuple[int, ...]
    cut: frozenset[tuple[int, int]] = frozenset()

    @property
    def name(self) -> str:
        return class_name(self.shape, self.rank)

    @cached_property
    def rows(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self.modules)}

    @cached_property
    def slots(self) -> dict[int, int]:
        return {adapter: slot for slot, adapter in enumerate(self.adapters)}


def class_name(shape: tuple[int, int], rank: int) -> str:
    """Of the arrays that hold a module of this shape and rank: ranks up to the next power of two lie together."""
    m, n = shape
    return f"{m}x{n}-k{1 << (max(rank, 1) - 1).bit_length()}"


@dataclass(frozen=True)
class Batch:
    """Adapters that were written together, and what became of others with them.

    Attributes:
        entries: in the order of their places.
        errors: relative error of each, ‖τ̂ − τ‖/‖τ‖ of the worst module, where factors are rounded to a half precision.
        classes: the arrays.
        removed: names of earlier adapters that are gone.
        skipped: what could not be read up to now, path and reason; None: as before.
    """

    entries: tuple[Entry, ...] = ()
    errors: tuple[float, ...] = ()
    classes: tuple[ShapeClass, ...] = ()
    removed: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] | None = None
    by_name: dict[str, ShapeClass] = field(init=False, default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self.by_name.update({one.name: one for one in self.classes})

    def attributes(self) -> dict[str, Any]:
        """For JSON, with a checksum."""
        families: dict[tuple[ModuleEntry, ...], int] = {}
        adapters = []
        for entry, error in zip(self.entries, self.errors, strict=True):
            family = families.setdefault(tuple(entry.modules.values()), len(families))
            adapters.append(
                {
                    "name": entry.name,
                    "digest": entry.digest,
                    "identity": entry.identity,
                    "source": entry.source,
                    "format": entry.format,
                    "base_model": entry.base_model,
                    "modules": family,
                    "left_out": [[item.tensor, item.reason, item.parameters] for item in entry.left_out],
                    "warnings": list(entry.warnings),
                    "parameters": entry.parameters,
                    "error": error,
                }
            )
        told = {
            "taskvec": "batch",
            "families": [[[*module] for module in family] for family in families],
            "adapters": adapters,
            "arrays": [
                {
                    "shape": list(one.shape),
                    "rank": one.rank,
                    "modules": list(one.modules),
                    "adapters": list(one.adapters),
                    "cut": sorted(map(list, one.cut)),
                }
                for one in self.classes
            ],
            "removed": list(self.removed),
            "skipped": None if self.skipped is None else [list(item) for item in self.skipped],
        }
        return {**told, "sha256": checksum_of(told)}

    @classmethod
    def of_attributes(cls, told: Mapping[str, Any], known: dict[str, Modules]) -> Batch:
        """The batch that these attributes describe; equal sets of modules are one object in ``known``.

        Raises:
            ValueError: they are not what was written.
        """
        if checksum_of({name: value for name, value in told.items() if name != "sha256"}) != told.get("sha256"):
            raise ValueError("its checksum differs")
        families = [known.setdefault(json.dumps(family), _modules(family)) for family in told["families"]]
        entries = tuple(
            Entry(
                name=one["name"],
                digest=one["digest"],
                identity=one["identity"],
                source=one["source"],
                format=one["format"],
                base_model=one["base_model"],
                modules=families[one["modules"]],
                left_out=tuple(LeftOut(*item) for item in one["left_out"]),
                warnings=tuple(one["warnings"]),
                parameters=one["parameters"],
            )
            for one in told["adapters"]
        )
        classes = tuple(
            ShapeClass(
                _shape(one["shape"]),
                one["rank"],
                tuple(one["modules"]),
                tuple(one["adapters"]),
                frozenset((row, slot) for row, slot in one["cut"]),
            )
            for one in told["arrays"]
        )
        skipped = told["skipped"]
        return cls(
            entries,
            tuple(one["error"] for one in told["adapters"]),
            classes,
            tuple(told["removed"]),
            None if skipped is None else tuple((path, reason) for path, reason in skipped),
        )


def checksum_of(told: Mapping[str, Any]) -> str:
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _modules(family: Sequence[Sequence[Any]]) -> Modules:
    made = {}
    for path, shape, rank, alpha, scale, source, warnings, start in family:
        made[path] = ModuleEntry(path, _shape(shape), rank, alpha, scale, source, tuple(warnings), start)
    return made


def _shape(given: Sequence[int]) -> tuple[int, int]:
    m, n = given
    return m, n
