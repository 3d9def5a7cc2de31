"""The second base: every weight trained for a short while on the plain text of the documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from .causal import CausalLearner
from .documents import Document
from .plan import FullTune


def full_tune(
    learner: CausalLearner, settings: FullTune, documents: Sequence[Document], report: Callable[[str], None]
) -> None:
    """Next-token loss of one document a step; no question and no answer is seen."""
    model = learner.base
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    for step in range(settings.steps):
        ids = torch.tensor([learner.tokenizer(documents[step % len(documents)].text)["input_ids"]])  # [1, T]
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        report(f"full fine-tune: step {step + 1} of {settings.steps}, loss {loss.item():.3f}")
