"""Adapters of llama.cpp: GGUF files with ``PATH.weight.lora_a`` (r, n) and ``.lora_b`` (m, r), and alpha for all."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Set
from typing import Any

from ..adapters import LeftOut
from ..errors import TaskvecError, printable
from .algebra.lora import linear
from .format import ReadOptions
from .reading.archives import Archive
from .reading.tensors import TensorFile
from .recipe import SAVE_AGAIN, Recipe
from .single import Content, Piece, SingleFile, needed, put

ALPHA = "adapter.lora.alpha"
ROTARY = "rows in llama.cpp's rotary order: not comparable with the same module of a Hugging Face adapter"
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
        if name.startswith("token_embd."):
            left_out.append(LeftOut(name, "an embedding, which GGUF holds in another order that is not read"))
        elif name.endswith(SUFFIXES):
            path, _, role = name.rpartition(".")
            put(modules[path.removesuffix(".weight")], role, name, file.path)
        else:
            left_out.append(LeftOut(name, "no factor of an update"))
    is_llama = metadata.get("general.architecture") == "llama"
    pieces = []
    for path, names in modules.items():
        pair = needed(file, names, "lora_b", "lora_a")
        rank = next(iter(file.shapes[pair[1]]), 0)
        if len(file.shapes[pair[1]]) != 2:
            left_out += [LeftOut(name, "factors of experts, which are not read from GGUF") for name in pair]
            continue
        if not rank:
            raise TaskvecError(f"has {pair[1]} of rank 0", where=file.path, fix=SAVE_AGAIN)
        recipe = Recipe(file, pair, linear, float(alpha) / rank, "a (r, n) and b (m, r)")
        turned = (ROTARY,) if is_llama and path.endswith((".attn_q", ".attn_k")) else ()
        pieces.append(Piece(path, recipe, "alpha/r", float(alpha), turned))
    base = metadata.get("general.base_model.0.name")
    return Content(pieces, left_out, printable(base) if isinstance(base, str) and base else None)


GGUF = SingleFile("gguf", claims, content)
