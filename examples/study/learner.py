"""What the study asks of a model, whatever its family: a loss on a task's answer, and an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from .documents import Document
from .tasks import Task

IGNORED = -100  # label of tokens that are not part of an answer


@dataclass(frozen=True)
class Scored:
    """Of one answer, each token predicted from those before it: mean loss, tokens, and how many were predicted."""

    loss: Tensor
    tokens: int
    right: int


class Learner(Protocol):
    """A base model and its tokenizer. `model` may be the base itself or the base under an adapter."""

    base: Any
    name: str  # goes into adapter_config.json
    modules: Sequence[str]  # what LoRA adapts by default: every query and value projection

    def score(self, model: Any, task: Task, document: Document) -> Scored:
        """The loss has a gradient."""

    def answer(self, model: Any, prompts: Sequence[tuple[Task, Document]], shots: Sequence[Document] = ()) -> list[str]:
        """Greedy answers, after examples if there are any."""

    def save(self, folder: Path) -> None: ...
