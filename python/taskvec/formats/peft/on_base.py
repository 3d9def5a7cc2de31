"""PEFT methods whose update is the base weight times something: IA3, HiRA, GLoRA, trainable tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import Tensor

from ...adapters import LeftOut
from ..algebra import with_base
from .keys import ModuleTensors
from .method import Contents, Found, Method, names
from .scale import UNSCALED

Stream = Iterator[Found | list[LeftOut]]
GLORA_ALL, GLORA_KINDS = names("glora_A glora_B glora_C glora_D glora_E"), ("Xd", "Xu", "X", "zeros")


def read_ia3(contents: Contents) -> Stream:
    """W ∘ (l − 1): l (out, 1), or (1, in) of feed-forward modules; of convolutions both are (1, …, 1, 1)."""
    inputs = contents.config.document.get("feedforward_modules")
    ends = tuple(inputs) if isinstance(inputs, list) and all(isinstance(end, str) for end in inputs) else ()
    for module in contents.modules:
        (name,) = contents.needed(module, "ia3_l")
        shape = contents.shape(name)
        by_row = not (len(shape) > 1 and shape[0] == 1 and max(shape) > 1)
        if len(shape) > 2:
            by_row = not module.path.endswith(ends)
        yield found(contents, module, ("ia3_l",), partial(with_base.scaled, by_row=by_row, less=1.0))


def read_hira(contents: Contents) -> Stream:
    """W ∘ (B·A)."""
    for module in contents.modules:
        of_embedding = "hira_embedding_A" in module.names
        kind = "hira_embedding_" if of_embedding else "hira_"
        yield found(contents, module, (f"{kind}B", f"{kind}A"), with_base.hira, turned=of_embedding or None)


def read_glora(contents: Contents) -> Stream:
    """W ∘ A + B, each of them a product, a vector, a number or zero; the rest changes the bias."""
    for module in contents.modules:
        roles = [
            [f"glora_{part}.{kind}" for kind in GLORA_KINDS if f"glora_{part}.{kind}" in module.names] for part in "AB"
        ]
        bias = [module.names[role] for role in module.names if role.partition(".")[0] not in ("glora_A", "glora_B")]
        yield [LeftOut(name, "changes the module's bias, not its weight") for name in bias]
        yield found(contents, module, (*roles[0], *roles[1]), partial(glora, first=len(roles[0])))


def glora(weight: Tensor, *tensors: Tensor, first: int) -> Tensor:
    """W ∘ A + B, of which the ``first`` tensors are A's."""
    inside, beside = (_path(part) for part in (tensors[:first], tensors[first:]))
    return with_base.scaled_entries(weight, inside, beside)


def _path(tensors: tuple[Tensor, ...]) -> Tensor:
    """A product of two factors, or the one tensor there is."""
    if not 0 < len(tensors) < 3:
        raise ValueError("one tensor, or two factors")
    return tensors[0] @ tensors[1] if len(tensors) == 2 else tensors[0]


def read_tokens(contents: Contents) -> Stream:
    """Rows of an embedding that are replaced: rank as many as they are."""
    places: Any = contents.config.document.get("token_indices")
    if not isinstance(places, list) or not all(type(place) is int for place in places):
        raise contents.config.wrong("token_indices", places, "numbers of tokens")
    for module in contents.modules:
        combine = partial(with_base.replaced_columns, places=tuple(places))
        yield found(contents, module, ("trainable_tokens_delta",), combine, turned=True)


def found(
    contents: Contents,
    module: ModuleTensors,
    roles: tuple[str, ...],
    combine: Callable[..., tuple[Tensor, Tensor] | Tensor],
    *,
    turned: bool | None = None,
) -> Found:
    recipe = contents.recipe(contents.needed(module, *roles), combine, weight=contents.weight(module, turned=turned))
    return Found(module.path, recipe, UNSCALED)


IA3 = Method(
    title="IA3",
    prefix="ia3_",
    roles=names("ia3_l"),
    read=read_ia3,
    on_base="IA3 multiplies the base weight",
    fields=names("feedforward_modules init_ia3_weights"),
)
HIRA = Method(
    title="HiRA",
    prefix="hira_",
    roles=names("hira_A hira_B hira_embedding_A hira_embedding_B"),
    read=read_hira,
    on_base="HiRA multiplies the base weight with B·A, entry by entry",
    fields=names("hira_dropout r_pattern"),
)
GLORA = Method(
    title="GLoRA",
    prefix="glora_",
    roles=GLORA_ALL | frozenset(f"{part}.{kind}" for part in GLORA_ALL for kind in GLORA_KINDS),
    numbered=GLORA_ALL,
    read=read_glora,
    on_base="GLoRA multiplies the base weight",
    fields=names("config_A_B config_C config_D_E"),
)
TOKENS = Method(
    title="trainable tokens",
    prefix="trainable_tokens_",
    roles=names("trainable_tokens_delta"),
    read=read_tokens,
    on_base="trainable tokens replace rows of the embedding",
    fields=names("token_indices"),
)
