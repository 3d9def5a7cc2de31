"""A plan in TOML → the adapters to make, each a record with a name of its own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from .tasks import parts_of

Record = TypeVar("Record")


class PlanError(Exception):
    """A plan that cannot be meant."""


@dataclass(frozen=True)
class Trained:
    """An adapter that is trained on a task; `steps` is below the plan's for a snapshot on the way."""

    name: str
    task: str
    seed: int
    rank: int
    steps: int
    shared_start: bool = False
    snapshot: bool = False

    @property
    def run(self) -> str:
        """The name of the training that gives it: of the adapter at the last step."""
        return self.name.rpartition("-at")[0] if self.snapshot else self.name

    @property
    def start(self) -> str:
        return f"shared-s{self.seed}" if self.shared_start else self.run


@dataclass(frozen=True)
class Merged:
    """peft's `add_weighted_adapter("cat")` of two trained adapters, or of rank `cut`, its best approximation."""

    name: str
    parts: tuple[str, str]
    seed: int
    cut: int | None


@dataclass(frozen=True)
class Scaled:
    """A trained adapter whose task vectors are `factor` times as long."""

    name: str
    of: str
    task: str
    seed: int
    factor: float


Adapter = Trained | Merged | Scaled


@dataclass(frozen=True)
class Training:
    steps: int
    learning_rate: float
    rank: int
    alpha: float
    snapshots: tuple[int, ...] = ()


@dataclass(frozen=True)
class Corpus:
    train: int
    test: int
    documents: str | None = None


@dataclass(frozen=True)
class FullTune:
    steps: int
    learning_rate: float


@dataclass(frozen=True)
class Group:
    """Adapters of one table of the plan: every task × seed × rank."""

    tasks: tuple[str, ...]
    seeds: tuple[int, ...] = ()  # the plan's, if none
    ranks: tuple[int, ...] = ()  # the plan's, if none
    start: str = "own"
    snapshots: bool = True


@dataclass(frozen=True)
class Merges:
    parts: tuple[tuple[str, str], ...] = ()
    cut: int = 8


@dataclass(frozen=True)
class Norms:
    tasks: tuple[str, ...] = ()
    factor: float = 3


@dataclass(frozen=True)
class Measure:
    loss_documents: int
    answer_documents: int
    shots: int


@dataclass(frozen=True)
class Instructions:
    steps: int
    learning_rate: float
    rank: int
    alpha: float
    dropout: float
    sampling: Mapping[str, Any]


@dataclass(frozen=True)
class Base:
    family: str
    model: str
    full_tune: FullTune | None = None
    adapters: tuple[str, ...] | None = None  # the groups that are trained on it; all, if none are named
    steps: int | None = None
    snapshots: tuple[int, ...] | None = None
    learning_rate: float | None = None
    instructions: bool = True  # of a causal model


@dataclass(frozen=True)
class Plan:
    seeds: tuple[int, ...]
    base: Mapping[str, Base]
    corpus: Corpus
    training: Training
    adapters: Mapping[str, Group]
    measure: Measure
    merges: Merges = field(default_factory=Merges)
    norms: Norms = field(default_factory=Norms)
    instructions: Instructions | None = None

    def training_of(self, base: str) -> Training:
        """The plan's settings, with those that a base has of its own."""
        own, common = self.base[base], self.training
        return Training(
            own.steps or common.steps,
            own.learning_rate or common.learning_rate,
            common.rank,
            common.alpha,
            common.snapshots if own.snapshots is None else own.snapshots,
        )

    def adapters_of(self, base: str) -> list[Adapter]:
        """Every adapter of a base, trained ones first, each once."""
        trained = list(self._trained(base))
        found: dict[str, Adapter] = {adapter.name: adapter for adapter in trained}
        for adapter in [*self._merged(), *self._scaled()]:
            sources = adapter.parts if isinstance(adapter, Merged) else (adapter.of,)
            if all(source in found for source in sources):
                found[adapter.name] = adapter
        return list(found.values())

    def _trained(self, base: str) -> Iterator[Trained]:
        training, names = self.training_of(base), self.base[base].adapters
        for group in (self.adapters[name] for name in (self.adapters if names is None else names)):
            for seed in group.seeds or self.seeds:
                for rank in group.ranks or (training.rank,):
                    for task in group.tasks:
                        yield from self._run(task, seed, rank, group, training)

    @staticmethod
    def _run(task: str, seed: int, rank: int, group: Group, training: Training) -> Iterator[Trained]:
        shared = group.start == "shared"
        name = f"{task}-s{seed}" + ("-shared" if shared else "") + (f"-r{rank}" if rank != training.rank else "")
        yield Trained(name, task, seed, rank, training.steps, shared)
        for step in training.snapshots if group.snapshots else ():
            yield Trained(f"{name}-at{step}", task, seed, rank, step, shared, snapshot=True)

    def _merged(self) -> Iterator[Merged]:
        for seed in self.seeds:
            for first, second in self.merges.parts:
                name, parts = f"{first}-with-{second}-s{seed}", (f"{first}-s{seed}", f"{second}-s{seed}")
                yield Merged(name, parts, seed, None)
                yield Merged(f"{name}-r{self.merges.cut}", parts, seed, self.merges.cut)

    def _scaled(self) -> Iterator[Scaled]:
        for seed in self.seeds:
            for task in self.norms.tasks:
                name, factor = f"{task}-s{seed}", self.norms.factor
                yield Scaled(f"{name}-x{factor:g}", name, task, seed, factor)


def read_plan(path: Path) -> Plan:
    """A plan file; one with `extends = "plan.toml"` replaces whole tables of the other.

    Raises:
        PlanError: not TOML, a key that is unknown or missing, or an unknown task, group or family.
    """
    try:
        plan = record(Plan, read_tables(path), "the plan")
        check(plan)
    except (OSError, tomllib.TOMLDecodeError, KeyError, PlanError) as error:
        reason = error.args[0] if isinstance(error, KeyError) else error
        raise PlanError(f"{path}: {reason}") from error
    return plan


def read_tables(path: Path) -> dict[str, Any]:
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    other = tables.pop("extends", None)
    return tables if other is None else read_tables(path.parent / other) | tables


NESTED: Mapping[str, Any] = {
    "base": {None: Base},
    "adapters": {None: Group},
    "corpus": Corpus,
    "training": Training,
    "merges": Merges,
    "norms": Norms,
    "measure": Measure,
    "instructions": Instructions,
    "full_tune": FullTune,
}


def record(kind: type[Record], table: Mapping[str, Any], where: str) -> Record:
    """A dataclass of a table, its lists as tuples; the tables in it become records too."""
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(table) - known):
        raise PlanError(f"{where} has unknown keys: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    values = {}
    for key, value in table.items():
        nested = NESTED.get(key) if isinstance(value, dict) else None
        if isinstance(nested, dict):
            values[key] = {name: record(nested[None], inner, f"[{key}.{name}]") for name, inner in value.items()}
        elif nested is not None:
            values[key] = record(nested, value, f"[{key}]")
        else:
            values[key] = as_tuple(value)
    try:
        return kind(**values)
    except TypeError as error:
        raise PlanError(f"{where}: {error}") from error


def as_tuple(value: Any) -> Any:
    return tuple(as_tuple(item) for item in value) if isinstance(value, list) else value


def check(plan: Plan) -> None:
    for name, group in plan.adapters.items():
        if group.start not in ("own", "shared"):
            raise PlanError(f"[adapters.{name}] has start {group.start!r}; expected own or shared")
        for task in group.tasks:
            parts_of(task)
    for name, base in plan.base.items():
        if base.family not in ("causal", "tagger"):
            raise PlanError(f"[base.{name}] has family {base.family!r}; expected causal or tagger")
        if unknown := sorted(set(base.adapters or ()) - set(plan.adapters)):
            raise PlanError(f"[base.{name}] names groups that are not there: {', '.join(unknown)}")
