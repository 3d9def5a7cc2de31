"""Sizes of a module that are in no tensor, read off the other modules of a transformer by what their names mean.

Never certain: a model may call its modules otherwise. What is found goes with a warning that says what was assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Sides(NamedTuple):
    """What the outputs and the inputs of a kind of module are."""

    out: str
    inputs: str


SIDES = {
    kind: Sides(*sides)
    for sides, kinds in {
        ("heads", "hidden"): "q_proj query q_lin",
        ("kv", "hidden"): "k_proj v_proj key value k_lin v_lin",
        ("fused", "hidden"): "qkv_proj query_key_value c_attn Wqkv W_pack qkv",
        ("hidden", "heads"): "o_proj out_lin",
        ("inner", "hidden"): "up_proj gate_proj c_fc fc1 dense_h_to_4h",
        ("two inner", "hidden"): "gate_up_proj",
        ("hidden", "inner"): "down_proj fc2 dense_4h_to_h",
    }.items()
    for kind in kinds.split()
}
NO_INPUTS = "its number of inputs is in no tensor, and the file's other modules do not tell it: needs the base's shapes"


def sides(path: str) -> Sides | None:
    """What the sides of a module are, None for a kind that is not known."""
    return SIDES.get(path.rpartition(".")[2])


def hidden_size(outs: Mapping[str, int]) -> int | None:
    """The model's hidden size: what its modules put out to the residual stream, else all heads together."""
    for side in ("hidden", "heads"):
        found = {out for path, out in outs.items() if (known := sides(path)) and known.out == side}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def inputs(path: str, outs: Mapping[str, int]) -> tuple[int, str] | None:
    """The inputs of a module from the outputs of all, and the warning that says so; None if nothing tells them."""
    known = sides(path)
    if known is None:
        return None
    if known.inputs == "inner":
        size = _inner(path, outs)
        return None if size is None else (size, f"assumed {size} inputs: what the module before it puts out")
    size = hidden_size(outs)
    if known.inputs == "heads":
        heads = {out for other, out in outs.items() if (side := sides(other)) and side.out == "heads"}
        size = heads.pop() if len(heads) == 1 else size
    return None if size is None else (size, f"assumed {size} inputs: the hidden size that other modules show")


def _inner(path: str, outs: Mapping[str, int]) -> int | None:
    """The outputs of the module that feeds a down projection: its sibling's, else those of all if they agree."""
    parent = path.rpartition(".")[0]
    for among in (lambda other: other.rpartition(".")[0] == parent, lambda other: True):
        found = {
            out // (2 if known.out == "two inner" else 1)
            for other, out in outs.items()
            if (known := sides(other)) and known.out in ("inner", "two inner") and among(other)
        }
        if len(found) == 1:
            return found.pop()
    return None
