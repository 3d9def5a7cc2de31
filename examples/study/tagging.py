"""Encoders: the answer is tagged in the document. A linear head, trained once on the base and frozen, is part of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .documents import Document
from .learner import IGNORED, Scored
from .tasks import TASKS, Task

HEAD_FILE = "head.safetensors"
HEAD_EPOCHS, HEAD_RATE = 30, 1e-2


class TaggingLearner:
    """A token of the document is tagged where it overlaps a piece that the task asks for; the question goes before."""

    modules: Sequence[str] = ("query", "value")

    def __init__(self, base: Any, tokenizer: Any, name: str, head: nn.Linear) -> None:
        self.base, self.tokenizer, self.name = base.eval(), tokenizer, name
        self.head = head.requires_grad_(False)

    def encode(self, task: Task, document: Document) -> tuple[Any, Tensor, list[tuple[int, int]]]:
        """Inputs, one label a token and the token's place in the text of the document."""
        spans = []
        for piece in task.pieces(document):
            start = document.text.index(piece)
            spans.append((start, start + len(piece)))
        inputs = self.tokenizer(
            task.question, document.text, truncation="only_second", max_length=512, return_offsets_mapping=True,
            return_tensors="pt",
        )  # fmt: skip
        places = [(int(a), int(b)) for a, b in inputs.pop("offset_mapping")[0]]
        labels = [
            int(any(a < end and start < b for start, end in spans)) if part == 1 and a < b else IGNORED
            for part, (a, b) in zip(inputs.sequence_ids(0), places, strict=True)
        ]
        return inputs, torch.tensor(labels), places

    def logits(self, model: Any, inputs: Any) -> Tensor:
        hidden = model(**inputs.to(model.device)).last_hidden_state[0]  # [T, H]
        logits: Tensor = self.head(hidden)  # [T, 2]
        return logits

    def score(self, model: Any, task: Task, document: Document) -> Scored:
        inputs, labels, _ = self.encode(task, document)
        logits = self.logits(model, inputs)
        asked = labels != IGNORED
        right = int((logits.argmax(-1) == labels)[asked].sum())
        return Scored(cross_entropy(logits, labels, ignore_index=IGNORED), int(asked.sum()), right)

    @torch.inference_mode()
    def tagged(self, model: Any, task: Task, document: Document) -> list[str]:
        """The pieces of the text that are tagged, each as long as its tokens follow each other."""
        inputs, labels, places = self.encode(task, document)
        chosen = (self.logits(model, inputs).argmax(-1) == 1) & (labels != IGNORED)
        pieces: list[list[int]] = []
        for (start, end), is_chosen, before in zip(places, chosen, [False, *chosen[:-1]], strict=True):
            if is_chosen and before:
                pieces[-1][1] = end
            elif is_chosen:
                pieces.append([start, end])
        return [document.text[start:end] for start, end in pieces]

    def answer(self, model: Any, prompts: Sequence[tuple[Task, Document]], shots: Sequence[Document] = ()) -> list[str]:
        """Tagged pieces, parted by a bar; an encoder has no use for examples."""
        return [" | ".join(self.tagged(model, task, document)) for task, document in prompts]

    def save(self, folder: Path) -> None:
        self.base.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_file(self.head.state_dict(), folder / HEAD_FILE)


def train_head(learner: TaggingLearner, documents: Sequence[Document]) -> None:
    """On the base's own features and all tasks alike, so that the base answers badly but not at random."""
    with torch.inference_mode():
        examples = [
            (learner.base(**inputs).last_hidden_state[0].clone(), labels)
            for document in documents
            for task in TASKS.values()
            for inputs, labels, _ in [learner.encode(task, document)]
        ]
    features, labels = torch.cat([f for f, _ in examples]).clone(), torch.cat([t for _, t in examples])
    learner.head.requires_grad_(True)
    optimizer = torch.optim.AdamW(learner.head.parameters(), lr=HEAD_RATE)
    for _ in range(HEAD_EPOCHS):
        cross_entropy(learner.head(features), labels, ignore_index=IGNORED).backward()
        optimizer.step()
        optimizer.zero_grad()
    learner.head.requires_grad_(False)


def load_head(folder: Path, hidden: int) -> nn.Linear:
    head = nn.Linear(hidden, 2)
    head.load_state_dict(load_file(folder / HEAD_FILE))
    return head
