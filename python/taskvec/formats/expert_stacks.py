"""Experts of a model: a stack in one tensor, as transformers 5 has them, or a list of modules, as 4 has them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .checkpoint import Checkpoint

STACK = re.compile(r"(?:^|.*\.)experts\.([^.]+)$")
# a stack's parts, rows one after the other, by the names that lists of experts have for them
PARTS = {"gate_up_proj": (("gate_proj", "w1"), ("up_proj", "w3")), "down_proj": (("down_proj", "w2"),)}
# what holds the experts in one version and in the other
HOLDERS = (("mlp.experts", "block_sparse_moe.experts"), ("block_sparse_moe.experts", "mlp.experts"))
MOST_EXPERTS = 4096


def is_stack(checkpoint: Checkpoint, path: str) -> bool:
    """Whether the tensor at a path is a stack of experts."""
    return len(checkpoint.file.shapes[checkpoint.names[path]]) == 3 and STACK.match(path) is not None


def is_turned(checkpoint: Checkpoint, path: str) -> bool:
    """Whether the experts of a stack are stored as in × out (gpt-oss, Llama 4): told by how gate_up and down fit."""
    before = path.rpartition(".")[0]
    shapes = [checkpoint.file.shapes.get(checkpoint.names.get(f"{before}.{name}", ""), ()) for name in PARTS]
    if any(len(shape) != 3 for shape in shapes):
        return checkpoint.config.get("model_type") in ("gpt_oss", "llama4", "llama4_text")
    (_, gate_in, gate_out), (_, down_in, down_out) = shapes
    return gate_out == 2 * down_in and gate_in == down_out


def as_list(checkpoint: Checkpoint, stack: str, count: int) -> list[list[str]] | None:
    """Tensors of a checkpoint that has as lists what another has as the stack at a path: the parts of each expert."""
    match = STACK.match(stack)
    if match is None or match[1] not in PARTS or not 0 < count <= MOST_EXPERTS:
        return None
    found = []
    for e in range(count):
        names = [_named(checkpoint, stack.removesuffix(f".{match[1]}"), e, part) for part in PARTS[match[1]]]
        if None in names:
            return None
        found.append([name for name in names if name is not None])
    return found


def _named(checkpoint: Checkpoint, experts: str, e: int, part: tuple[str, ...]) -> str | None:
    """The tensor of one part of one expert, whatever its version calls it."""
    places = (experts, *(experts.replace(old, new) for old, new in HOLDERS if experts.endswith(old)))
    paths = (f"{place}.{e}.{name}" for place in places for name in part)
    return next((checkpoint.names[path] for path in paths if path in checkpoint.names), None)


def stacks(checkpoint: Checkpoint) -> Iterator[str]:
    """Paths of the stacks of experts."""
    return (path for path in checkpoint.names if is_stack(checkpoint, path))
