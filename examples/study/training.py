"""Training of one adapter. Everything random is drawn from its name, so it does not matter what was trained before."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from torch import Tensor, nn

from .documents import Document
from .learner import Learner, Scored
from .tasks import parts_of

Progress = Callable[[int, float], None]


def seed_of(*words: object) -> int:
    return zlib.crc32(" ".join(map(str, words)).encode())


@contextmanager
def lora(learner: Learner, rank: int, alpha: float, start: str, dropout: float = 0.0) -> Iterator[Any]:
    """The base under a new adapter, taken off again at the end. B is zero; A is drawn from `start`."""
    torch.manual_seed(seed_of("start", start))
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(learner.modules))
    model = get_peft_model(learner.base, config)
    try:
        yield model
    finally:
        model.unload()


def lessons(task: str, steps: int, documents: Sequence[Document], order: str) -> Iterator[tuple[str, Document]]:
    """Documents in random order, again and again; the parts of a mixture take turns."""
    random, parts, left = Random(f"order {order}"), parts_of(task), list[Document]()
    for step in range(steps):
        if not left:
            left = random.sample(list(documents), len(documents))
        yield parts[step % len(parts)], left.pop()


def train(
    model: Any,
    losses: Iterable[Callable[[], Scored]],
    learning_rate: float,
    snapshots: Sequence[int] = (),
    progress: Progress = lambda step, loss: None,
) -> dict[int, dict[str, Tensor]]:
    """AdamW at a constant rate, batch size 1, gradients clipped at norm 1; the adapter's tensors after these steps."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    kept = {}
    for step, score in enumerate(losses, start=1):
        loss = score().loss
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"the loss of step {step} is {loss.item()}; fix: a smaller learning rate")
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        progress(step, loss.item())
        if step in snapshots:
            kept[step] = {name: tensor.clone() for name, tensor in adapter_tensors(model).items()}
    return kept


def adapter_tensors(model: Any) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return tensors
