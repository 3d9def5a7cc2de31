"""PEFT methods whose update is a function of the base weight: IA3, OFT, HRA, HiRA, RoAd, GLoRA, trainable tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import Tensor

from ...adapters import LeftOut
from ...errors import TaskvecError
from ..algebra import with_base
from .keys import ModuleTensors
from .method import Contents, Found, Method, names
from .scale import UNSCALED

Stream = Iterator[Found | list[LeftOut]]
GLORA_ALL, GLORA_KINDS = names("glora_A glora_B glora_C glora_D glora_E"), ("Xd", "Xu", "X", "zeros")
NO_COFT = "is a constrained OFT (coft): its projection at every step is not implemented"


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
        yield _found(contents, module, ("ia3_l",), partial(with_base.scaled, by_row=by_row, less=1.0))


def read_oft(contents: Contents) -> Stream:
    """W (Rᵀ − I), R of blocks that the entries above the diagonal of a skew matrix give."""
    config = contents.config
    if config.flag("coft"):
        raise TaskvecError(NO_COFT, where=config.path, fix="leave it out")
    series = config.document.get("use_cayley_neumann", True)
    terms = config.rank("num_cayley_neumann_terms") if series else None
    for module in contents.modules:
        yield _found(contents, module, ("oft_R",), partial(oft, terms=terms))


def oft(weight: Tensor, vectors: Tensor, terms: int | None) -> Tensor:
    """One block for all, or one for each part of the inputs."""
    size = round((1 + (1 + 8 * vectors.shape[1]) ** 0.5) / 2)
    rotation = with_base.cayley(with_base.skew_from_upper(vectors, size), terms)
    if rotation.shape[0] == 1:
        rotation = rotation.expand(weight.shape[1] // size, size, size)
    return with_base.rotated_inputs(weight, rotation)


def read_hra(contents: Contents) -> Stream:
    """W (R − I), R a product of reflections: rank r at most."""
    orthogonalise = contents.config.flag("apply_GS")
    for module in contents.modules:
        yield _found(contents, module, ("hra_u",), partial(with_base.householder, orthogonalise=orthogonalise))


def read_hira(contents: Contents) -> Stream:
    """W ∘ (B·A)."""
    for module in contents.modules:
        kind = "hira_embedding_" if "hira_embedding_A" in module.names else "hira_"
        yield _found(contents, module, (f"{kind}B", f"{kind}A"), with_base.hira)


def read_road(contents: Contents) -> Stream:
    """(R − I) W, R a rotation of pairs of outputs."""
    variant, group = contents.config.document.get("variant", "road_1"), contents.config.rank("group_size")
    if variant not in ("road_1", "road_2", "road_4"):
        raise contents.config.wrong("variant", variant, "road_1, road_2 or road_4")
    combine = partial(with_base.road, variant=variant, group=group)
    for module in contents.modules:
        yield _found(contents, module, ("road_theta", "road_alpha"), combine)


def read_glora(contents: Contents) -> Stream:
    """W ∘ A + B, each of them a product, a vector, a number or zero; the rest changes the bias."""
    for module in contents.modules:
        roles = [
            [f"glora_{part}.{kind}" for kind in GLORA_KINDS if f"glora_{part}.{kind}" in module.names] for part in "AB"
        ]
        bias = [module.names[role] for role in module.names if role.partition(".")[0] not in ("glora_A", "glora_B")]
        yield [LeftOut(name, "changes the module's bias, not its weight") for name in bias]
        yield _found(contents, module, (*roles[0], *roles[1]), partial(glora, first=len(roles[0])))


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
        yield _found(contents, module, ("trainable_tokens_delta",), combine, turned=True)


def _found(
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
OFT = Method(
    title="OFT",
    prefix="oft_",
    roles=names("oft_R"),
    read=read_oft,
    on_base="OFT rotates the base weight",
    fields=names("""
        oft_block_size coft eps block_share use_cayley_neumann num_cayley_neumann_terms
    """),
)
HRA = Method(
    title="HRA",
    prefix="hra_",
    roles=names("hra_u"),
    read=read_hra,
    on_base="HRA reflects the base weight",
    fields=names("apply_GS"),
)
HIRA = Method(
    title="HiRA",
    prefix="hira_",
    roles=names("hira_A hira_B hira_embedding_A hira_embedding_B"),
    read=read_hira,
    on_base="HiRA multiplies the base weight with B·A, entry by entry",
    fields=names("hira_dropout r_pattern"),
)
ROAD = Method(
    title="RoAd",
    prefix="road_",
    roles=names("road_theta road_alpha"),
    read=read_road,
    on_base="RoAd rotates the base weight",
    fields=names("variant group_size"),
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
