"""LoHa and LoKr: element-wise and Kronecker products of small matrices, scaled alpha / r."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from ...adapters import LeftOut
from ..algebra import products
from ..algebra.basics import as_matrix, wide
from .keys import ModuleTensors
from .method import Contents, Found, Method, names
from .scale import scales

OF_BOTH = names("alpha use_effective_conv2d")
LOKR_SIDES = (("lokr_w1", "lokr_w1_a", "lokr_w1_b"), ("lokr_w2", "lokr_w2_a", "lokr_w2_b"))


def read_loha(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """(w1a w1b) ∘ (w2a w2b) of every module, the w_b of convolutions through t1 and t2 where they have them."""
    matrices = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
    recipes = {}
    for module in contents.modules:
        if "hada_t1" in module.names or "hada_t2" in module.names:
            roles = ("hada_t1", *matrices[:2], "hada_t2", *matrices[2:])
            recipes[module.path] = contents.recipe(contents.needed(module, *roles), hadamard_tucker)
        else:
            recipes[module.path] = contents.recipe(contents.needed(module, *matrices), hadamard)
    ranks = {module.path: _rows(contents, module, "hada_w1_b") for module in contents.modules}
    scale_of = scales(contents.config, ranks, "alpha", tensors=contents.alphas())
    yield from (Found(path, recipe, scale_of[path]) for path, recipe in recipes.items())


def read_lokr(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """w1 ⊗ w2 of every module, each whole or a product; PEFT scales by alpha / r even where both are whole."""
    recipes, ranks = {}, {}
    for module in contents.modules:
        wanted = []
        for whole, left, right in LOKR_SIDES:
            wanted += [whole] if whole in module.names else [left, right]
        wanted += ["lokr_t2"] if "lokr_t2" in module.names else []
        combine = partial(kronecker, roles=tuple(wanted))
        recipes[module.path] = contents.recipe(contents.needed(module, *wanted), combine)
        ranks[module.path] = _rows(contents, module, "lokr_w2_b") or _rows(contents, module, "lokr_w1_b")
    scale_of = scales(contents.config, ranks, "alpha", tensors=contents.alphas())
    yield from (Found(path, recipe, scale_of[path]) for path, recipe in recipes.items())


def hadamard(w1a: Tensor, w1b: Tensor, w2a: Tensor, w2b: Tensor) -> tuple[Tensor, Tensor] | Tensor:
    """Factors of rank r² where that is less than the update's sides, the update itself otherwise."""
    w1a, w1b, w2a, w2b = (as_matrix(t) for t in (w1a, w1b, w2a, w2b))
    if w1a.shape[1] * w2a.shape[1] < min(w1a.shape[0], w1b.shape[1]):
        return products.hadamard(w1a, w1b, w2a, w2b)
    return (wide(w1a) @ wide(w1b)) * (wide(w2a) @ wide(w2b))


def hadamard_tucker(
    t1: Tensor, w1a: Tensor, w1b: Tensor, t2: Tensor, w2a: Tensor, w2b: Tensor
) -> tuple[Tensor, Tensor] | Tensor:
    """The same of convolutions in Tucker form: t (r, r, k, k), w_a (r, out), w_b (r, in)."""
    (left1, right1), (left2, right2) = products.tucker_factors(t1, w1a, w1b), products.tucker_factors(t2, w2a, w2b)
    return hadamard(left1, right1, left2, right2)


def kronecker(*tensors: Tensor, roles: tuple[str, ...]) -> tuple[Tensor, Tensor] | Tensor:
    """w1 ⊗ w2 as factors where their rank is less than the update's sides, the update itself otherwise."""
    of = dict(zip(roles, tensors, strict=True))
    sides = []
    for whole, left, right in LOKR_SIDES:
        if whole in of:
            sides.append(products.smallest_factors(of[whole]))
        elif whole == "lokr_w2" and "lokr_t2" in of:
            sides.append(products.tucker_factors(of["lokr_t2"], of[left], of[right]))
        else:
            sides.append((as_matrix(of[left]), as_matrix(of[right])))
    (b1, a1), (b2, a2) = sides
    if "lokr_w2" in of and of["lokr_w2"].dim() == 3:
        # Conv1d: PEFT multiplies matrix and kernel as torch.kron pads them, and reshapes what comes out
        return torch.kron(wide(b1) @ wide(a1), wide(of["lokr_w2"])).reshape(b1.shape[0] * b2.shape[0], -1)
    rank, m, n = b1.shape[1] * b2.shape[1], b1.shape[0] * b2.shape[0], a1.shape[1] * a2.shape[1]
    if rank < min(m, n):
        return products.kronecker((b1, a1), (b2, a2))
    return torch.kron(wide(b1) @ wide(a1), wide(b2) @ wide(a2))


def _rows(contents: Contents, module: ModuleTensors, role: str) -> int | None:
    """Rows of a tensor, which are the rank; None if the module has no such tensor, or it has none."""
    name = module.names.get(role)
    return next(iter(contents.shape(name)), None) or None if name else None


LOHA = Method(
    title="LoHa",
    prefix="hada_",
    roles=names("hada_w1_a hada_w1_b hada_w2_a hada_w2_b hada_t1 hada_t2 alpha"),
    read=read_loha,
    fields=OF_BOTH,
)
LOKR = Method(
    title="LoKr",
    prefix="lokr_",
    roles=names("lokr_w1 lokr_w1_a lokr_w1_b lokr_w2 lokr_w2_a lokr_w2_b lokr_t2 alpha"),
    read=read_lokr,
    fields=OF_BOTH | names("decompose_both decompose_factor rank_dropout_scale"),
)
