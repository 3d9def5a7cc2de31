"""Updates of LyCORIS that are functions of the base weight: GLoRA, IA3, OFT, whole weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from ..errors import TaskvecError
from .algebra import rotations, with_base
from .algebra.basics import wide
from .format import GIVE_BASE, NEEDS_BASE, ReadOptions
from .reading.tensors import TensorFile
from .recipe import Recipe, number
from .single import Piece, needed, over_rank

# a tensor that only this kind of update has, and why the base is needed
ON_BASE = {
    "a1.weight": "GLoRA multiplies the base weight",
    "on_input": "IA3 multiplies the base weight",
    "oft_blocks": "OFT rotates the base weight",
    "set_weight": "it replaces the base weight",
}
UNSCALED = "1: the method has no scale"


def on_base(file: TensorFile, path: str, names: Mapping[str, str], options: ReadOptions) -> Piece | None:
    """The update of one module, None if it is of another kind.

    Raises:
        TaskvecError: the base is not given, has no such module, or how it is used is not known.
    """
    kind = next((role for role in ON_BASE if role in names), None)
    if kind is None:
        return None
    if options.base is None:
        what = f"has {names[kind]}: {ON_BASE[kind]}, so its update {NEEDS_BASE}"
        raise TaskvecError(what, where=file.path, fix=GIVE_BASE)
    weight = options.weights.weight(path)
    scale, alpha, source = 1.0, None, UNSCALED
    combine: Callable[..., tuple[Tensor, Tensor] | Tensor]
    if kind == "a1.weight":
        used = needed(file, names, "a1.weight", "a2.weight", "b1.weight", "b2.weight")
        a1, a2 = file.shapes[used[0]], file.shapes[used[1]]
        shorter = used[0] if a1[:1] < a2[:1] else used[1]  # (r, n); the other is (n, r)
        scale, alpha, source = over_rank(file, names, shorter)
        used += needed(file, names, "bm.weight") if "bm.weight" in names else ()
        combine = with_base.inside_and_beside
    elif kind == "on_input":
        used = needed(file, names, "weight")
        combine = partial(with_base.scaled, by_row=not number(file, names[kind]), less=0.0)
    elif kind == "oft_blocks":
        used = needed(file, names, kind, *(["rescale"] if "rescale" in names else []))
        combine = partial(oft, constraint=number(file, names["alpha"]) if "alpha" in names else 0.0)
    else:
        used, combine = needed(file, names, kind), with_base.replaced
    return Piece(path, Recipe(file, used, combine, scale, weight=weight), source, alpha)


def oft(weight: Tensor, blocks: Tensor, rescale: Tensor | None = None, *, constraint: float) -> Tensor:
    """(R − I) W, R the rotations of blocks of outputs whose skew parts are ``blocks``; then rows times ``rescale``.

    Blocks (n, b, b), or (factors, n, b, b) of BOFT.
    """
    skew = wide(blocks) - wide(blocks).mT
    if constraint > 0:
        skew = skew * torch.clamp(constraint * weight.shape[0] / (skew.norm() + 1e-8), max=1)
    if blocks.dim() == 4:
        tau = rotations.butterfly_outputs(weight, rotations.cayley(-skew))
    else:
        tau = rotations.rotated_outputs(weight, rotations.cayley(skew))
    if rescale is None:
        return tau
    whole = wide(weight)
    return wide(rescale).reshape(-1, 1) * (tau + whole) - whole
