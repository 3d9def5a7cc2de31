"""Causal language models: the answer follows the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from .documents import Document
from .learner import Scored
from .tasks import Task

MAX_ANSWER = 64  # tokens of a greedy answer


class CausalLearner:
    modules: Sequence[str] = ("q_proj", "v_proj")

    def __init__(self, base: Any, tokenizer: Any, name: str) -> None:
        self.base, self.tokenizer, self.name = base.eval(), tokenizer, name

    def score(self, model: Any, task: Task, document: Document) -> Scored:
        return self.score_text(model, task.prompt(document), task.answer(document))

    def score_text(self, model: Any, prompt: str, answer: str) -> Scored:
        """Logits are computed where the answer is, which is a fifth of the text and the vocabulary of 49,152 long."""
        before = self.tokenizer(prompt)["input_ids"]
        after = [*self.tokenizer(" " + answer, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
        ids = torch.tensor([before + after], device=model.device)  # [1, T]
        labels = ids[0, len(before) :]  # [answer]
        logits = model(input_ids=ids, logits_to_keep=len(after) + 1).logits[0, :-1]  # [answer, vocabulary]
        return Scored(cross_entropy(logits.float(), labels), len(after), int((logits.argmax(-1) == labels).sum()))

    def answer(self, model: Any, prompts: Sequence[tuple[Task, Document]], shots: Sequence[Document] = ()) -> list[str]:
        """The first line of what follows the prompt, before which `shots` are answered as examples."""
        texts = [
            "".join(f"{task.prompt(shot)} {task.answer(shot)}\n\n" for shot in shots) + task.prompt(document)
            for task, document in prompts
        ]
        return [text.split("\n")[0] for text in self.complete(model, texts, max_new_tokens=MAX_ANSWER)]

    @torch.inference_mode()
    def complete(self, model: Any, prompts: Sequence[str], **options: Any) -> list[str]:
        """All prompts in one batch, padded on the left; greedy unless the options say otherwise."""
        batch = self.tokenizer(list(prompts), return_tensors="pt", padding=True, padding_side="left").to(model.device)
        # a chat model may begin another turn in the place of ending its own
        ends = {token for token in (self.tokenizer.eos_token_id, self.tokenizer.bos_token_id) if token is not None}
        settings = {
            "do_sample": False,
            "pad_token_id": self.tokenizer.pad_token_id,
            "eos_token_id": sorted(ends),
            **options,
        }
        ids = model.generate(**batch, **settings)[:, batch["input_ids"].shape[1] :]
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def save(self, folder: Path) -> None:
        self.base.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
