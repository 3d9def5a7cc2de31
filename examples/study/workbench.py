"""The steps of a course, done."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from . import instructions
from .adapter_files import save_adapter
from .bases import causal_model, encoder
from .causal import CausalLearner
from .derived import merge, scale
from .documents import Document
from .files import whole_folder, write_json, write_text
from .full_tune import full_tune
from .learner import Learner
from .plan import Merged, Plan, Scaled, Trained
from .steps import BASE, Course, Step
from .tagging import TaggingLearner, load_head, train_head
from .tasks import TASKS, parts_of
from .training import lessons, lora, seed_of, train

HEAD_DOCUMENTS = 40


class Workbench(Course):
    """A course with its documents and its base model at hand: every kind of step is a method."""

    def __init__(self, plan: Plan, base: str, out: Path) -> None:
        super().__init__(plan, base, out)
        self.report: Callable[[str], None] = lambda line: None

    def do(self, step: Step) -> None:
        if not self.is_done(step):
            getattr(self, f"do_{step.kind}")(step.name)

    @cached_property
    def learner(self) -> Learner:
        """The base as it lies in the folder of the study."""
        folder, name = self.folder / "model", f"{self.base.model} ({self.base_name})"
        if self.is_tagger:
            model, tokenizer = encoder(str(folder))
            return TaggingLearner(model, tokenizer, name, load_head(folder, model.config.hidden_size))
        return CausalLearner(*causal_model(str(folder)), name)

    def do_base(self, _: str) -> None:
        """The base's weights in the folder of the study: after a full fine-tune, or with a head."""
        base = self.base
        torch.manual_seed(seed_of("base", self.base_name))
        train_documents, _ = self.documents
        learner: Learner
        if self.is_tagger:
            model, tokenizer = encoder(base.model)
            learner = TaggingLearner(model, tokenizer, base.model, nn.Linear(model.config.hidden_size, 2))
            train_head(learner, train_documents[:HEAD_DOCUMENTS])
        else:
            learner = CausalLearner(*causal_model(base.model), base.model)
            if base.full_tune is not None:
                full_tune(learner, base.full_tune, train_documents, self.report)
        with whole_folder(self.product(Step("base", BASE))) as folder:
            learner.save(folder)

    def do_train(self, run: str) -> None:
        """The adapter of the last step and those on the way; then the record of the run."""
        kept = self.kept(run)
        final = max(kept, key=lambda adapter: adapter.steps)
        training, losses, began = self.plan.training_of(self.base_name), [], time.process_time()
        alpha = training.alpha * final.rank / training.rank
        order = lessons(final.task, final.steps, self.documents[0], run)

        def progress(step: int, loss: float) -> None:
            losses.append(round(loss, 5))
            self.report(f"{run}: step {step} of {final.steps}, loss {loss:.3f}")

        with lora(self.learner, final.rank, alpha, final.start) as model:
            answers = (partial(self.learner.score, model, TASKS[part], document) for part, document in order)
            tensors = train(model, answers, training.learning_rate, [a.steps for a in kept], progress)
            accuracy = {part: self.losses(model, part)[1] for part in parts_of(final.task)}
            config = model.peft_config["default"]
        for adapter in kept:
            save_adapter(config, self.learner.name, tensors[adapter.steps], self.adapter_folder(adapter.name))
        seconds = round(time.process_time() - began, 1)
        record = {"token_accuracy": accuracy, "cpu_seconds": seconds, "losses": losses, "made_with": made_with()}
        write_json(self.product(Step("train", run)), record)

    def do_derive(self, name: str) -> None:
        adapter = self.adapters[name]
        if isinstance(adapter, Merged):
            merge(self.learner.base, self.learner.name, adapter, self.folder / "adapters")
        elif isinstance(adapter, Scaled):
            scale(self.learner.name, adapter, self.folder / "adapters")

    def do_measure(self, name: str) -> None:
        """Loss and token accuracy on every task; answers on the adapter's own, and by examples on the base alone."""
        began = time.process_time()
        with self.adapted(name) as model:
            record: dict[str, Any] = {"losses": {task: self.losses(model, task) for task in TASKS}}
            record["answers"] = {task: self.answers(model, task) for task in self.answered(name)}
            if name == BASE and not self.is_tagger:
                shots = self.documents[0][: self.plan.measure.shots]
                record["few_shot"] = {task: self.answers(model, task, shots) for task in TASKS}
        write_json(self.product(Step("measure", name)), record | {"cpu_seconds": round(time.process_time() - began, 1)})

    def do_instruct(self, name: str) -> None:
        """The instruction recipe, and its answers next to those of the base."""
        recipe = self.plan.instructions
        assert recipe is not None and isinstance(self.learner, CausalLearner)
        if not self.adapter_folder(name).exists():
            with lora(self.learner, recipe.rank, recipe.alpha, name, recipe.dropout) as model:
                tensors = instructions.train_on_instructions(model, self.learner, recipe, self.report)
                config = model.peft_config["default"]
            save_adapter(config, self.learner.name, tensors, self.adapter_folder(name))
        with self.adapted(name) as model:
            write_text(self.product(Step("instruct", name)), instructions.side_by_side(model, self.learner, recipe))

    @contextmanager
    def adapted(self, name: str) -> Iterator[Any]:
        """The base under a finished adapter, or the base itself."""
        if name == BASE:
            yield self.learner.base
            return
        model = PeftModel.from_pretrained(self.learner.base, self.adapter_folder(name))
        try:
            yield model.eval()
        finally:
            model.unload()

    def answered(self, name: str) -> Sequence[str]:
        """The tasks whose answers are written out: all of the base, and those that an adapter was trained on."""
        adapter = self.adapters.get(name)
        if adapter is None:
            return tuple(TASKS)
        return parts_of(adapter.task) if isinstance(adapter, Trained) and not adapter.snapshot else ()

    @torch.inference_mode()
    def losses(self, model: Any, task: str) -> tuple[float, float]:
        """Mean loss a token and share of the tokens that are predicted, over test documents."""
        documents = self.documents[1][: self.plan.measure.loss_documents]
        scored = [self.learner.score(model, TASKS[task], document) for document in documents]
        tokens = sum(score.tokens for score in scored)
        loss = sum(float(score.loss) * score.tokens for score in scored) / tokens
        return round(loss, 6), round(sum(score.right for score in scored) / tokens, 6)

    def answers(self, model: Any, task: str, shots: Sequence[Document] = ()) -> list[str]:
        documents = self.documents[1][: self.plan.measure.answer_documents]
        return self.learner.answer(model, [(TASKS[task], document) for document in documents], shots)


def made_with() -> dict[str, str]:
    """Adapters are the same bytes where these are the same."""
    versions = {name: version(name) for name in ("torch", "transformers", "peft")}
    return {"python": platform.python_version(), **versions, "vectors": torch.backends.cpu.get_cpu_capability()}
