"""Adapters of llama.cpp: GGUF files with ``PATH.weight.lora_a`` (r, n) and ``.lora_b`` (m, r), and alpha for all.

Rows of llama's queries and keys, which llama.cpp keeps in Meta's rotary order, are turned to the usual one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Set
from functools import partial
from typing import Any

from torch import Tensor

from ..adapters import LeftOut
from ..errors import TaskvecError, printable
from .algebra.lora import linear
from .format import ReadOptions
from .mlx import expert_count, one_expert
from .reading.archives import Archive
from .reading.tensors import TensorFile
from .recipe import SAVE_AGAIN, Recipe
from .rotary import turn
from .single import Content, Piece, SingleFile, needed, put

ALPHA = "adapter.lora.alpha"
EMBEDDING = "token_embd"
EXPERTS = "a (E, r, n) and b (E, m, r)"
SUFFIXES = (".weight.lora_a", ".weight.lora_b")


def claims(names: Set[str], beside_peft: bool) -> bool:
    return any(name.endswith(SUFFIXES) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """alpha / r · B·A; rsLoRA is lost when a file is converted to GGUF."""
    metadata = file.metadata if isinstance(file, Archive) else {}
    alpha: Any = metadata.get(ALPHA)
    is_number = isinstance(alpha, int | float) and math.isfinite(alpha)
    if not is_number or metadata.get("adapter.type", "lora") != "lora":
        got = f"{ALPHA} {str(alpha)[:40]}"
        raise TaskvecError(
            "is no LoRA of llama.cpp that says its alpha", where=file.path, got=got, fix="convert it again"
        )
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    left_out = []
    for name in sorted(file.shapes):
        if name.endswith(SUFFIXES):
            path, _, role = name.rpartition(".")
            put(modules[path.removesuffix(".weight")], role, name, file.path)
        else:
            left_out.append(LeftOut(name, "no factor of an update"))
    pairs = {path: needed(file, names, "lora_b", "lora_a") for path, names in modules.items()}
    is_llama = metadata.get("general.architecture") == "llama"
    heads = options.attention if is_llama else None
    pieces: list[Piece] = []
    for path, pair in pairs.items():
        if len(file.shapes[pair[1]]) == 3:
            pieces += _experts(file, path, pair, float(alpha))
            continue
        combine, notes = turn(file, pairs, path, ("attn_q", "attn_k"), heads) if is_llama else (linear, ())
        if path == EMBEDDING:
            combine = of_embedding
        rank = (*file.shapes[pair[0]], 0, 0)[1]
        recipe = Recipe(file, pair, combine, _scale(file, pair, float(alpha), rank), "a (r, n) and b (m, r)")
        pieces.append(Piece(path, recipe, "alpha/r", float(alpha), notes))
    base = metadata.get("general.base_model.0.name")
    return Content(pieces, left_out, printable(base) if isinstance(base, str) and base else None)


def of_embedding(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """b (m, r) and a (vocabulary, r), of which llama.cpp picks rows."""
    return b, a.mT


def _experts(file: TensorFile, path: str, pair: tuple[str, ...], alpha: float) -> list[Piece]:
    """One update for each of E experts: a (E, r, n), b (E, m, r)."""
    count = expert_count(file, pair) or 1
    scale = _scale(file, pair, alpha, file.shapes[pair[1]][1])
    return [
        Piece(f"{path}[{e}]", Recipe(file, pair, partial(one_expert, e=e), scale, EXPERTS), "alpha/r", alpha)
        for e in range(count)
    ]


def _scale(file: TensorFile, pair: tuple[str, ...], alpha: float, rank: int) -> float:
    if not rank:
        raise TaskvecError(f"has {pair[1]} of rank 0", where=file.path, fix=SAVE_AGAIN)
    return alpha / rank if alpha else 1.0  # as llama.cpp has it


GGUF = SingleFile("gguf", claims, content)
