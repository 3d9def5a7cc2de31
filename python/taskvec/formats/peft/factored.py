"""AdaLoRA, DeLoRA and GraLoRA: products of a module's own factors."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...adapters import LeftOut
from ..algebra import blocks, lora
from .method import Contents, Found, Method, names
from .scale import UNSCALED, Scale, scales


def read_adalora(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """B · diag(E) · A, scaled by the rank of the start whatever rank is left."""
    config = contents.config
    rank, alpha = config.rank("init_r"), config.number("lora_alpha")
    alpha = alpha if alpha > 0 else float(rank)
    scale = Scale(alpha / (rank + 1e-5), alpha, "alpha/(init_r + 1e-5)")
    for module in contents.modules:
        wanted = contents.needed(module, "lora_B", "lora_E", "lora_A")
        yield Found(module.path, contents.recipe(wanted, adalora), scale)


def adalora(b: Tensor, e: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Factors; a module of which no rank is left has one direction of zeros."""
    if a.shape[0] == 0 and b.shape[1] == 0:
        return b.new_zeros(b.shape[0], 1), a.new_zeros(1, a.shape[1])
    return lora.three_factors(b, e, a)


def read_delora(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """B · A with rows and columns of one length, λ / r."""
    for module in contents.modules:
        wanted = contents.needed(module, "delora_B", "delora_A", "delora_lambda", "delora_w_norm")
        yield Found(module.path, contents.recipe(wanted, lora.normalised), UNSCALED)


def read_gralora(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """Blocks that exchange slices of their ranks, and a plain B · A beside them; scaled alpha / (r + hybrid_r)."""
    recipes, ranks = {}, {}
    for module in contents.modules:
        hybrid = "gralora_A_general" in module.names or "gralora_B_general" in module.names
        wanted = contents.needed(module, "gralora_B", "gralora_A")
        rank = (*contents.shape(wanted[1]), 0, 0, 0)[2]
        if hybrid:
            wanted += contents.needed(module, "gralora_B_general", "gralora_A_general")
            rank += (*contents.shape(wanted[3]), 0)[0]
        recipes[module.path] = contents.recipe(wanted, gralora_hybrid if hybrid else blocks.gralora)
        ranks[module.path] = rank or None
    scale_of = scales(contents.config, ranks, "alpha", beside="hybrid_r")
    yield from (Found(path, recipe, scale_of[path]) for path, recipe in recipes.items())


def gralora_hybrid(b: Tensor, a: Tensor, plain_b: Tensor, plain_a: Tensor) -> tuple[Tensor, Tensor]:
    """The blocks' factors and the plain ones side by side."""
    left, right = blocks.gralora(b, a)
    return torch.cat([left, plain_b.to(left.dtype)], 1), torch.cat([right, plain_a.to(right.dtype)])


ADALORA = Method(
    title="AdaLoRA",
    prefix="lora_",
    roles=names("lora_A lora_B lora_E"),
    read=read_adalora,
    fields=names("""
        lora_alpha lora_dropout init_lora_weights use_rslora init_r target_r tinit tfinal deltaT beta1 beta2
        orth_reg_weight total_step loftq_config eva_config corda_config layer_replication alora_invocation_tokens
    """),
)
DELORA = Method(
    title="DeLoRA",
    prefix="delora_",
    roles=names("delora_A delora_B delora_lambda delora_w_norm"),
    read=read_delora,
    fields=names("delora_lambda lambda_pattern"),
)
GRALORA = Method(
    title="GraLoRA",
    prefix="gralora_",
    roles=names("gralora_A gralora_B gralora_A_general gralora_B_general"),
    read=read_gralora,
    fields=names("alpha hybrid_r gralora_k gralora_dropout"),
)
