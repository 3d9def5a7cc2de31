"""LoRAs of XLabs for FLUX: pairs in the attention processors, with q, k and v in one.

Modules are named as diffusers names them: lora1 is the image stream's, lora2 the text's. There is no alpha: scale 1.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Set
from functools import partial

from torch import Tensor

from ..adapters import LeftOut
from .algebra.lora import linear
from .format import ReadOptions
from .reading.tensors import TensorFile
from .recipe import Recipe
from .single import Content, Piece, SingleFile, needed, put

NAME = re.compile(r"^(double|single)_blocks\.(\d+)\.processor\.((?:qkv|proj)_lora[12]?)\.(down|up)\.weight$")
PARTS = {
    ("double", "qkv_lora1"): ("attn.to_q", "attn.to_k", "attn.to_v"),
    ("double", "proj_lora1"): ("attn.to_out.0",),
    ("double", "qkv_lora2"): ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    ("double", "proj_lora2"): ("attn.to_add_out",),
    ("single", "qkv_lora"): ("attn.to_q", "attn.to_k", "attn.to_v"),
    ("single", "proj_lora"): ("proj_out",),
}
BLOCKS = {"double": "transformer_blocks", "single": "single_transformer_blocks"}
SOURCE = "1: the format has no scale"


def claims(names: Set[str], beside_peft: bool) -> bool:
    return any(NAME.match(name) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """up·down, the rows of qkv in thirds."""
    pairs: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    left_out = []
    for name in sorted(file.shapes):
        match = NAME.match(name)
        if match and (match[1], match[3]) in PARTS:
            put(pairs[match[1], match[2], match[3]], match[4], name, file.path)
        else:
            left_out.append(LeftOut(name, "no factor of an update that is known"))
    pieces = []
    for (kind, block, role), names in pairs.items():
        used, parts = needed(file, names, "up", "down"), PARTS[kind, role]
        for place, part in enumerate(parts):
            combine = partial(rows, place=place, count=len(parts))
            recipe = Recipe(file, used, combine, expected=f"up (m, r) with m a multiple of {len(parts)}, down (r, n)")
            pieces.append(Piece(f"transformer.{BLOCKS[kind]}.{block}.{part}", recipe, SOURCE))
    return Content(pieces, left_out)


def rows(up: Tensor, down: Tensor, place: int, count: int) -> tuple[Tensor, Tensor]:
    """The factors of one of ``count`` projections whose rows lie one after the other."""
    b, a = linear(up, down)
    return b.reshape(count, b.shape[0] // count, b.shape[1])[place], a


XLABS = SingleFile("xlabs", claims, content)
