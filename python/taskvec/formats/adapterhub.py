"""Adapters of AdapterHub's ``adapters``: ``PATH.loras.NAME.lora_A`` (r, n) and ``lora_B`` (m, r), alpha in a config."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Set
from functools import partial
from typing import Any

from torch import Tensor

from ..adapters import LeftOut
from ..errors import TaskvecError, printable
from .algebra import with_base
from .algebra.basics import wide
from .algebra.lora import linear, merged_parts
from .format import GIVE_BASE, NEEDS_BASE, ReadOptions
from .peft.config import PeftConfig
from .reading.files import member, read_json
from .reading.tensors import TensorFile
from .recipe import Recipe
from .single import Content, Piece, SingleFile, needed, put

CONFIG = "adapter_config.json"
NAME = re.compile(r"^(.+)\.loras\.[^.]+\.(lora_[AB])$")
NOT_LORA = "is an adapter of AdapterHub's adapters"


def claims(names: Set[str], beside_peft: bool) -> bool:
    return any(NAME.match(name) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """alpha / r · B·A; of a fused projection (GPT-2) the parts that ``attn_matrices`` names."""
    path = member(file.path.parent, CONFIG)
    if path is None:
        what = f"{NOT_LORA} without {CONFIG}: its alpha, and so its scale, is unknown"
        raise TaskvecError(what, where=file.path, fix="copy it from where the adapter was saved")
    document = read_json(path)
    settings = document.get("config")
    config = PeftConfig(path, "LORA", settings if isinstance(settings, dict) else {})
    _refuse(config)
    rank, alpha = config.rank("r"), config.number("alpha")
    enabled = tuple(part in config.names("attn_matrices") for part in "qkv")
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    left_out = []
    for name in sorted(file.shapes):
        match = NAME.match(name)
        if match:
            put(modules[match[1]], match[2], name, file.path)
        elif ".loras." in name:
            what = f"has {name}, a tensor that is not known: it may change what the update is"
            raise TaskvecError(what, where=file.path, fix="merge it into its base and extract a plain LoRA")
        else:
            left_out.append(LeftOut(name, "no factor of an update"))
    multiplies = config.document.get("composition_mode") != "add"
    if multiplies and options.base is None:
        what = f"{NOT_LORA}: IA3 multiplies the base weight: its update {NEEDS_BASE}"
        raise TaskvecError(what, where=path, fix=GIVE_BASE)
    pieces = [
        _multiplied(file, module, names, alpha / rank, options)
        if multiplies
        else _piece(file, module, names, rank, alpha, enabled)
        for module, names in modules.items()
    ]
    base = document.get("model_name")
    return Content(pieces, left_out, printable(base) if isinstance(base, str) and base else None, (path,))


def _refuse(config: PeftConfig) -> None:
    """Raise for what is not plain LoRA."""
    settings: Mapping[str, Any] = config.document
    reason = None
    if settings.get("architecture") != "lora":
        reason = f"architecture {str(settings.get('architecture'))[:40]!r}, which taskvec does not read yet"
    elif settings.get("use_gating"):
        reason = "its gates depend on the input: there is no single update"
    elif settings.get("use_dora"):
        reason = "DoRA's update is more than B·A, and how this tool saves it is not implemented"
    elif settings.get("vera_d") is not None or settings.get("vera_b") is not None:
        reason = "VeRA draws its projections from a random generator: they are not in the file"
    if reason is not None:
        raise TaskvecError(f"{NOT_LORA}: {reason}", where=config.path, fix="leave it out")


def _piece(
    file: TensorFile, module: str, names: Mapping[str, str], rank: int, alpha: float, enabled: tuple[bool, ...]
) -> Piece:
    pair = needed(file, names, "lora_B", "lora_A")
    rows, parts = next(iter(file.shapes[pair[1]]), 0), sum(enabled)
    if rows == rank:
        combine: Any = linear
    elif parts > 1 and rows == parts * rank:
        combine = partial(merged_parts, enabled=enabled)
    else:
        got, expected = f"{rows} rows", f"r = {rank} of them"
        raise TaskvecError(f"has {pair[1]}", where=file.path, got=got, expected=expected, fix=f"check {CONFIG}")
    recipe = Recipe(file, pair, combine, alpha / rank, "A (r, n) and B (m, r)")
    return Piece(module, recipe, "alpha/r", alpha)


def _multiplied(file: TensorFile, module: str, names: Mapping[str, str], scale: float, options: ReadOptions) -> Piece:
    """IA3: a factor for each output."""
    weight = options.weights.weight(module)
    combine = partial(ia3, scale=scale)
    recipe = Recipe(file, needed(file, names, "lora_B"), combine, expected="one factor an output", weight=weight)
    return Piece(module, recipe, "1: the method has no scale")


def ia3(weight: Tensor, factor: Tensor, scale: float) -> Tensor:
    """W ∘ (s·l − 1), by rows."""
    return with_base.scaled(weight, scale * wide(factor), by_row=True, less=1.0)


ADAPTERHUB = SingleFile("adapters", claims, content)
