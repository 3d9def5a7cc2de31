"""Adapters of NeMo and Megatron-Bridge: ``PATH.adapter.linear_in.weight`` (r, n), ``linear_out.weight`` (m, r).

The canonical form has an adapter for each part of a fused projection (``adapter_q``, ``adapter_up``, …), whose modules
are PATH.q and so on. alpha / dim is in the configuration of the run: a person has to give it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Set

from ..adapters import LeftOut
from .algebra.lora import linear
from .format import ReadOptions
from .reading.tensors import TensorFile
from .recipe import Recipe
from .single import Content, Piece, SingleFile, needed, put
from .unscaled import given_scale

NAME = re.compile(r"^(.+)\.adapter\.(?:adapter_(\w+)\.)?(linear_in|linear_out)\.weight$")


def claims(names: Set[str], beside_peft: bool) -> bool:
    return any(NAME.match(name) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """alpha / dim · linear_out·linear_in."""
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    left_out = []
    for name in sorted(file.shapes):
        if match := NAME.match(name):
            put(modules[f"{match[1]}.{match[2]}" if match[2] else match[1]], match[3], name, file.path)
        else:
            left_out.append(LeftOut(name, "no factor of an update"))
    pieces = []
    for path, names in modules.items():
        pair = needed(file, names, "linear_out", "linear_in")
        scale = given_scale(options, next(iter(file.shapes[pair[1]]), 0), path, file.path, "NeMo")
        recipe = Recipe(file, pair, linear, scale.value, "linear_in (r, n) and linear_out (m, r)")
        pieces.append(Piece(path, recipe, scale.source, scale.alpha))
    return Content(pieces, left_out)


NEMO = SingleFile("nemo", claims, content)
