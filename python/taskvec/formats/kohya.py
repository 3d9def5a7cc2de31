"""Files of kohya's sd-scripts and of LyCORIS, which musubi, OneTrainer and SimpleTuner write as well.

``PATH.lora_up.weight``, ``PATH.hada_w1_a``, ``PATH.alpha`` …; PATH is the module's with underscores in place of dots,
and stays as it is. The scale is alpha / r from the tensors: what the header says of alpha may be another part's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from functools import partial

from torch import Tensor

from ..adapters import LeftOut
from ..errors import TaskvecError
from .algebra.basics import as_matrix
from .algebra.lora import linear, with_mid
from .algebra.products import hadamard, hadamard_tucker, kronecker, smallest_factors, tucker_factors
from .format import ReadOptions
from .lycoris import on_base
from .reading.tensors import TensorFile
from .recipe import Recipe
from .single import Content, Piece, SingleFile, needed, over_rank, put

FACTORS = r"lora_(?:up|down|mid)\.weight|hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t[12])"
OTHERS = (
    r"diff(?:_b)?|[wb]_norm|set_weight|a[12]\.weight|b[12]\.weight|bm\.weight|oft_blocks|on_input|rescale|"
    r"(?:p|q|lambda)_layer(?:\.weight)?|reshape_weight|dora_scale|alpha"
)
PREFIX = r"(?:lora_unet|lora_te[123]?|lora_transformer|lora_prior_(?:te|unet)|lycoris)_"
ROLE = re.compile(rf"^(.+?)\.({FACTORS}|{OTHERS})$")
CLAIM = re.compile(rf"^.+\.(?:{FACTORS})$|^{PREFIX}.+\.(?:{OTHERS})$")
VECTORS = {
    "diff_b": "the change of a bias, not of a matrix",
    "w_norm": "the change of a normalisation's weight, a vector",
    "b_norm": "the change of a normalisation's bias, a vector",
}
REFUSED = {
    "lambda_layer": "T-LoRA subtracts a start that is not in the file",
    "reshape_weight": "the base weight is padded first, to a shape that is in no file",
}


def claims(names: Set[str], beside_peft: bool) -> bool:
    return any(CLAIM.match(name) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """The updates by module, LoRA, LoHa, LoKr or dense; vectors are left out."""
    modules, left_out = _sorted(file)
    pieces = []
    for path, names in modules.items():
        for role, reason in REFUSED.items():
            if role in names:
                raise TaskvecError(f"has {names[role]}: {reason}", where=file.path, fix="leave it out")
        left_out += [LeftOut(names.pop(role), reason) for role, reason in VECTORS.items() if role in names]
        if "diff" in names and len(file.shapes[names["diff"]]) == 1:
            left_out.append(LeftOut(names.pop("diff"), "the change of a vector, not of a matrix"))
        if (made := on_base(file, path, names, options)) is not None:
            pieces.append(made)
        elif set(names) - {"alpha", "dora_scale"}:
            piece, magnitude = _piece(file, path, names), names.get("dora_scale")
            pieces.append(replace(piece, dora=magnitude is not None, magnitude=magnitude))
        elif "dora_scale" in names:
            left_out.append(LeftOut(names["dora_scale"], "the update has no part for it"))
    return Content(pieces, left_out)


def _sorted(file: TensorFile) -> tuple[dict[str, dict[str, str]], list[LeftOut]]:
    """Tensors of modules by role, and those of none."""
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    others = []
    for name in sorted(file.shapes):
        match = ROLE.match(name)
        if match:
            put(
                modules[match[1]],
                match[2].removesuffix(".weight") if "layer" in match[2] else match[2],
                name,
                file.path,
            )
        else:
            others.append(name)
    left_out = []
    for name in others:
        path = next((path for path in (name.rpartition(".")[0], name.rsplit(".", 2)[0]) if path in modules), None)
        if path is None:
            left_out.append(LeftOut(name, "no tensor of an update, as learned tokens are"))
        elif name == f"{path}.weight" and "on_input" in modules[path]:
            put(modules[path], "weight", name, file.path)
        elif not any(role in REFUSED for role in modules[path]):  # whose other tensors do not matter
            what = f"has {name}, a tensor that is not known: it may change what the update is"
            raise TaskvecError(what, where=file.path, fix="merge it into its base and extract a plain LoRA")
    return modules, left_out


def _piece(file: TensorFile, path: str, names: Mapping[str, str]) -> Piece:
    kinds = {role.partition("_")[0] for role in names} - {"alpha", "dora"}
    if len(kinds) != 1:
        what = f"has updates of two kinds for {path}"
        raise TaskvecError(what, where=file.path, got=" and ".join(sorted(kinds)), fix="leave it out")
    (kind,) = kinds
    if kind == "diff":
        recipe = Recipe(file, (names["diff"],), as_matrix)
        return Piece(path, recipe, "1: the update itself is in the file", None)
    if kind == "lokr":
        return _kronecker(file, path, names)
    if kind == "lora":
        roles = ("lora_up.weight", "lora_mid.weight", "lora_down.weight")
        combine: Callable[..., tuple[Tensor, Tensor]] = with_mid if roles[1] in names else linear
        down = roles[2]
        used = needed(file, names, *(role for role in roles if role != roles[1] or role in names))
        expected = "up (m, r) and down (r, n) of one rank"
    elif "hada_t1" in names or "hada_t2" in names:
        used = needed(file, names, *(f"hada_{role}" for role in ("t1", "w1_a", "w1_b", "t2", "w2_a", "w2_b")))
        combine, down, expected = hadamard_tucker, "hada_w1_b", "t (r, r, k, k), w_a (r, m) and w_b (r, n)"
    else:
        used = needed(file, names, *(f"hada_{role}" for role in ("w1_a", "w1_b", "w2_a", "w2_b")))
        combine, down, expected = hadamard, "hada_w1_b", "w_a (m, r) and w_b (r, n)"
    scale, alpha, source = over_rank(file, names, names[down])
    return Piece(path, Recipe(file, used, combine, scale, expected), source, alpha)


def _kronecker(file: TensorFile, path: str, names: Mapping[str, str]) -> Piece:
    """LoKr: each side is whole or in factors; without any factor the scale is 1, whatever alpha says."""
    roles: list[tuple[str, ...]] = []
    for side in "12":
        whole, t = f"lokr_w{side}", f"lokr_t{side}"
        factors = (f"{whole}_a", f"{whole}_b")
        roles.append((whole,) if whole in names else (t, *factors) if t in names else factors)
    used = needed(file, names, *roles[0], *roles[1])
    down = next((names[side[-1]] for side in reversed(roles) if len(side) > 1), None)
    scale, alpha, source = 1.0, None, "1: both sides of the product are whole"
    if down is not None:
        scale, alpha, source = over_rank(file, names, down)
    recipe = Recipe(file, used, partial(lokr, first=len(roles[0])), scale, "w1 and w2, whole or as factors")
    return Piece(path, recipe, source, alpha)


def lokr(*tensors: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """w1 ⊗ w2, of which the ``first`` tensors are w1: one is a whole matrix, two its factors, three Tucker's."""
    return kronecker(_side(*tensors[:first]), _side(*tensors[first:]))


def _side(*tensors: Tensor) -> tuple[Tensor, Tensor]:
    if len(tensors) == 1:
        return smallest_factors(tensors[0])
    return tucker_factors(*tensors) if len(tensors) == 3 else linear(*tensors)


KOHYA = SingleFile("kohya", claims, content)
