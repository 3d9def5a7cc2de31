"""Adapters of cloneofsimo's lora: pairs without module names, in the order of the model's modules; scale 1.

Safetensors with ``PART:n:up`` (m, r) and ``PART:n:down`` (r, n), or a pickle that is a bare list up, down, up, down, …
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Set
from pathlib import Path

from ..adapters import LeftOut
from ..errors import TaskvecError
from .algebra.lora import linear
from .format import ReadOptions
from .reading.archives import open_weights
from .reading.names import BARE_LIST, tensor_names
from .reading.tensors import TensorFile, open_bare_list
from .recipe import Recipe
from .single import Content, Piece, SingleFile, needed, put

NAME = re.compile(r"^(unet|text_encoder[^:]*):(\d+):(up|down)$")
SOURCE = "1: the format has no scale"
BY_PLACE = "modules have no names in this format: they are told by their place in the file"


def claims(names: Set[str], beside_peft: bool) -> bool:
    return names == {BARE_LIST} or any(NAME.match(name) for name in names)


def open_named_or_not(path: Path) -> TensorFile:
    """The file; tensors of a bare list get their places as names."""
    return open_bare_list(path) if tensor_names(path) == {BARE_LIST} else open_weights(path)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """up·down."""
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    left_out = []
    for name in file.shapes:
        if name.isdecimal():
            put(modules[str(int(name) // 2)], "down" if int(name) % 2 else "up", name, file.path)
        elif match := NAME.match(name):
            put(modules[f"{match[1]}.{match[2]}"], match[3], name, file.path)
        else:
            left_out.append(LeftOut(name, "no factor of an update, as learned tokens are"))
    pieces = []
    for path, names in modules.items():
        recipe = Recipe(file, needed(file, names, "up", "down"), linear, expected="up (m, r) and down (r, n)")
        pieces.append(Piece(path, recipe, SOURCE, None, (BY_PLACE,)))
    if not pieces:
        raise TaskvecError("holds no tensors", where=file.path, fix="check that this is the adapter's weights file")
    return Content(pieces, left_out)


CLONEOFSIMO = SingleFile("cloneofsimo", claims, content, open_named_or_not)
