"""The steps of a study on one base, and where the product of each lies: a folder or file that is whole or not there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from .documents import Document, read_documents
from .gazette import write_documents
from .plan import Adapter, Merged, Plan, PlanError, Scaled, Trained

BASE = "base"  # where a table names an adapter: the base itself
INSTRUCTIONS = "instructions"  # the adapter of the instruction recipe


class Step(NamedTuple):
    """What is done, and the run or the adapter that it is done for."""

    kind: Literal["base", "train", "instruct", "derive", "measure"]
    name: str


class Course:
    """What a plan wants done on one of its bases, in the folder of a study."""

    def __init__(self, plan: Plan, base: str, out: Path) -> None:
        self.plan, self.base_name, self.base, self.folder = plan, base, plan.base[base], out / base

    @cached_property
    def adapters(self) -> dict[str, Adapter]:
        return {adapter.name: adapter for adapter in self.plan.adapters_of(self.base_name)}

    @cached_property
    def documents(self) -> tuple[Sequence[Document], Sequence[Document]]:
        """To train on and to test on."""
        corpus = self.plan.corpus
        if corpus.documents is None:
            return write_documents(corpus.train, "train"), write_documents(corpus.test, "test")
        found = read_documents(Path(corpus.documents))
        if len(found) < corpus.train + corpus.test:
            raise PlanError(f"{corpus.documents} has {len(found)} documents, fewer than [corpus] asks for")
        return found[: corpus.train], found[corpus.train : corpus.train + corpus.test]

    @property
    def is_tagger(self) -> bool:
        return self.base.family == "tagger"

    def steps(self) -> list[Step]:
        """All of them: seed after seed, and of a seed what is trained, what is made of that, and what is measured."""
        recipe = self.base.instructions and self.plan.instructions is not None and not self.is_tagger
        steps = [Step("base", BASE), Step("measure", BASE)]
        for seed in sorted({adapter.seed for adapter in self.adapters.values()}):
            adapters = [adapter for adapter in self.adapters.values() if adapter.seed == seed]
            steps += [Step("train", run) for run in dict.fromkeys(a.run for a in adapters if isinstance(a, Trained))]
            steps += [Step("derive", a.name) for a in adapters if not isinstance(a, Trained)]
            steps += [Step("measure", a.name) for a in adapters]
        return [*steps, Step("instruct", INSTRUCTIONS)] if recipe else steps

    def needs(self, step: Step) -> set[Step]:
        """The steps that must have been done before."""
        if step.kind == "base":
            return set()
        needed, adapter = {Step("base", BASE)}, self.adapters.get(step.name)
        if step.kind == "measure" and adapter is not None:
            needed.add(Step("train", adapter.run) if isinstance(adapter, Trained) else Step("derive", adapter.name))
        if step.kind == "derive":
            sources = (
                adapter.parts if isinstance(adapter, Merged) else (adapter.of,) if isinstance(adapter, Scaled) else ()
            )
            needed |= {Step("train", source) for source in sources}
        return needed

    def product(self, step: Step) -> Path:
        """What a step makes last."""
        places = {
            "base": self.folder / "model",
            "train": self.folder / f"trained/{step.name}.json",
            "instruct": self.folder / "answers.jsonl",
            "derive": self.adapter_folder(step.name),
            "measure": self.folder / f"measured/{step.name}.json",
        }
        return places[step.kind]

    def is_done(self, step: Step) -> bool:
        """Its product is there and, of a training, each adapter: another plan may have asked for fewer on the way."""
        kept = self.kept(step.name) if step.kind == "train" else []
        return self.product(step).exists() and all(self.adapter_folder(adapter.name).is_dir() for adapter in kept)

    def kept(self, run: str) -> list[Trained]:
        """The adapters that one training gives."""
        return [a for a in self.adapters.values() if isinstance(a, Trained) and a.run == run]

    def adapter_folder(self, name: str) -> Path:
        return self.folder / "adapters" / name
