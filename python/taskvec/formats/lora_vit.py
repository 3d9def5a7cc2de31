"""LoRA-ViT and its SAM variant: ``w_a_2i``, ``w_b_2i`` for the queries of block i and 2i + 1 for its values.

Rows [:d] and [−d:] of the fused ``blocks.i.attn.qkv``. The client's scale is alpha // r, an integer; alpha is in no
file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Set

import torch
from torch import Tensor

from ..adapters import LeftOut
from .algebra.lora import merged_parts
from .format import ReadOptions
from .reading.tensors import TensorFile
from .recipe import Recipe
from .single import Content, Piece, SingleFile, needed, put
from .unscaled import given_scale

NAME = re.compile(r"^w_([ab])_(\d{3})$")
EXPECTED = "w_a (r, n) and w_b (d, r) of one size for queries and values"


def claims(names: Set[str], beside_peft: bool) -> bool:
    return any(NAME.match(name) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """Queries and values of every block, as one update of its fused projection."""
    blocks: dict[int, dict[str, str]] = defaultdict(dict)
    left_out = []
    for name in sorted(file.shapes):
        if match := NAME.match(name):
            which = "qv"[int(match[2]) % 2]
            put(blocks[int(match[2]) // 2], f"w_{match[1]} of {which}", name, file.path)
        else:
            left_out.append(LeftOut(name, "no factor of an update: a head"))
    pieces = []
    for block, names in blocks.items():
        used = needed(file, names, "w_b of q", "w_a of q", "w_b of v", "w_a of v")
        rank = next(iter(file.shapes[used[1]]), 0)
        given = given_scale(options, rank, f"blocks.{block}.attn.qkv", file.path, "SAM/ViT (w_a, w_b)")
        scale, source = given.value, given.source
        if given.alpha is not None:
            scale, source = float(given.alpha // max(rank, 1)), "--alpha//r, as the client divides"
        recipe = Recipe(file, used, queries_and_values, scale, EXPECTED)
        pieces.append(Piece(f"blocks.{block}.attn.qkv", recipe, source, given.alpha))
    return Content(pieces, left_out)


def queries_and_values(b_q: Tensor, a_q: Tensor, b_v: Tensor, a_v: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of the fused projection, whose keys are zero."""
    return merged_parts(torch.cat([b_q, b_v]), torch.cat([a_q, a_v]), (True, False, True))


LORA_VIT = SingleFile("lora-vit", claims, content)
