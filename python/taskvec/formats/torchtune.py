"""Adapters of torchtune: ``lora_a.weight`` (r, n), ``lora_b.weight`` (m, r), and a config with r and lora_alpha."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Set

from ..adapters import LeftOut
from ..errors import TaskvecError
from .algebra.lora import linear
from .format import ReadOptions
from .peft.config import read_config
from .peft.scale import scales
from .reading.files import member
from .reading.tensors import TensorFile
from .recipe import Recipe
from .single import Content, Piece, SingleFile, dora_notes, needed, put

CONFIG = "adapter_config.json"
ROLE = re.compile(r"^(.+)\.(lora_a\.weight|lora_b\.weight|magnitude)$")
ROTARY = "rows in Meta's rotary order: not comparable with the same module of a Hugging Face adapter"


def claims(names: Set[str], beside_peft: bool) -> bool:
    return any(name.endswith((".lora_a.weight", ".lora_b.weight")) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """lora_alpha / r · B·A, in torchtune's own order of rows."""
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
        notes = dora_notes("magnitude" in names, file.path, options)
        left_out += [LeftOut(names["magnitude"], note) for note in notes]
        scale = scale_of[module]
        recipe = Recipe(file, pairs[module], linear, scale.value, "a (r, n) and b (m, r)")
        turned = (ROTARY,) if module.endswith((".q_proj", ".k_proj")) else ()
        pieces.append(Piece(module, recipe, scale.source, scale.alpha, (*scale.warnings, *notes, *turned)))
    return Content(pieces, left_out, config.base_model, (path,))


TORCHTUNE = SingleFile("torchtune", claims, content)
