"""Adapters of torchtune: ``lora_a.weight`` (r, n), ``lora_b.weight`` (m, r), and a config with r and lora_alpha.

Rows of queries and keys, which torchtune keeps in Meta's rotary order, are turned to the usual one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Set
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from ..adapters import LeftOut
from ..errors import TaskvecError
from .algebra.lora import linear
from .dora import decomposed
from .format import ReadOptions
from .heads import heads_of_base
from .language_names import of_format
from .peft.config import read_config
from .peft.scale import scales
from .reading.files import member
from .reading.tensors import TensorFile
from .recipe import Recipe
from .rotary import rows_in_halves, turn
from .single import Content, Piece, SingleFile, needed, put

CONFIG = "adapter_config.json"
ROLE = re.compile(r"^(.+)\.(lora_a\.weight|lora_b\.weight|magnitude)$")


def claims(names: Set[str], beside_peft: bool) -> bool:
    return any(name.endswith((".lora_a.weight", ".lora_b.weight")) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """lora_alpha / r · B·A."""
    path = member(file.path.parent, CONFIG)
    if path is None:
        what = f"is an adapter in torchtune format without {CONFIG}: its alpha, and so its scale, is in no file"
        raise TaskvecError(what, where=file.path, fix="copy it from where the adapter was saved")
    config = read_config(path)
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    left_out = []
    for name in sorted(file.shapes):
        match = ROLE.match(name)
        if match:
            put(modules[match[1]], match[2].removesuffix(".weight"), name, file.path)
        else:
            left_out.append(LeftOut(name, "no factor of an update"))
    pairs = {module: needed(file, names, "lora_b", "lora_a") for module, names in modules.items()}
    ranks = {module: next(iter(file.shapes[a]), 0) or None for module, (_, a) in pairs.items()}
    scale_of = scales(config, ranks, "lora_alpha")
    pieces = []
    for module, names in modules.items():
        scale = scale_of[module]
        combine, turned = turn(
            file, pairs, module, ("q_proj", "k_proj"), options.attention or heads_of_base(config.base_model)
        )
        recipe = Recipe(file, pairs[module], combine, scale.value, "a (r, n) and b (m, r)")
        notes, magnitude = (*scale.warnings, *turned), names.get("magnitude")
        if magnitude is not None and options.base is not None and options.dora == "refuse":
            recipe, magnitude = _decomposed(recipe, module, magnitude, options), None
        pieces.append(Piece(module, recipe, scale.source, scale.alpha, notes, magnitude is not None, magnitude))
    return Content(pieces, left_out, config.base_model, (path,))


def _decomposed(recipe: Recipe, module: str, magnitude: str, options: ReadOptions) -> Recipe:
    """A DoRA module's whole update from the base as torchtune has it, or as transformers has it.

    Rows of queries and keys are Meta's in the file and in torchtune's base: their update is made in that order.
    """
    is_own = options.weights.find(module) is not None
    plain = replace(recipe, combine=linear) if is_own else recipe
    made = decomposed(plain, module if is_own else of_format(module, "torchtune"), magnitude, options)
    if recipe.combine is linear:
        if not is_own and module.endswith((".q_proj", ".k_proj")):
            what = f"has {magnitude} in Meta's rotary order, and a base in the usual one"
            fix = "give the number of heads with --heads"
            raise TaskvecError(what, where=recipe.file.path, fix=fix)
        return made
    heads: int = recipe.combine.keywords["heads"]  # type: ignore[attr-defined]
    return replace(made, combine=partial(turned_after if is_own else turned_before, own=made.combine, heads=heads))


def turned_after(*tensors: Tensor, own: Callable[..., Any], heads: int) -> Tensor:
    """An update that is made in Meta's order of rows, in the usual one."""
    return rows_in_halves(own(*tensors), heads)


def turned_before(*tensors: Tensor, own: Callable[..., Any], heads: int) -> Tensor:
    """An update whose factors and base are in the usual order, its magnitudes brought to it."""
    made: Tensor = own(*tensors[:-1], rows_in_halves(tensors[-1], heads))
    return made


TORCHTUNE = SingleFile("torchtune", claims, content)
