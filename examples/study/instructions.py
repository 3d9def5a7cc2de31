"""LoRA on instructions in the Alpaca form, and answers of base and adapter next to each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from .causal import CausalLearner
from .plan import Instructions
from .steps import INSTRUCTIONS
from .training import seed_of, train

FILE = Path(__file__).parent / "instructions.jsonl"
HELD_OUT = 8  # the last lines of the file, to be answered and not trained on

Instruction = Mapping[str, str]  # instruction, input (it may be empty), response


def read_instructions() -> Sequence[Instruction]:
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def prompt(item: Instruction) -> str:
    given = f"### Input:\n{item['input']}\n\n" if item["input"] else ""
    return f"### Instruction:\n{item['instruction']}\n\n{given}### Response:\n"


def train_on_instructions(
    model: Any, learner: CausalLearner, recipe: Instructions, report: Callable[[str], None]
) -> Mapping[str, Tensor]:
    """The tensors of the adapter. Dropout is on, from a generator that the name seeds."""
    random, items = Random(f"order {INSTRUCTIONS}"), read_instructions()[:-HELD_OUT]
    order = [item for _ in range(-(-recipe.steps // len(items))) for item in random.sample(items, len(items))]
    answers = (partial(learner.score_text, model, prompt(item), item["response"]) for item in order[: recipe.steps])
    model.train()
    torch.manual_seed(seed_of("dropout", INSTRUCTIONS))
    tensors = train(
        model,
        answers,
        recipe.learning_rate,
        [recipe.steps],
        lambda step, loss: report(f"{INSTRUCTIONS}: step {step} of {recipe.steps}, loss {loss:.3f}"),
    )
    return tensors[recipe.steps]


def side_by_side(model: Any, learner: CausalLearner, recipe: Instructions) -> str:
    """Lines of adapter, prompt, base and answer for `taskvec report --answers`; every answer is sampled from a seed."""

    def sample(item: Instruction) -> str:
        torch.manual_seed(seed_of("sample", item["instruction"]))
        return learner.complete(model, [prompt(item)], do_sample=True, **recipe.sampling)[0]

    model.eval()
    lines = []
    for item in read_instructions()[-HELD_OUT:]:
        answer = sample(item)
        with model.disable_adapter():
            base = sample(item)
        lines.append({"adapter": INSTRUCTIONS, "prompt": prompt(item), "base": base, "answer": answer})
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
