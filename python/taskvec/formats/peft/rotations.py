"""PEFT methods that turn the base weight: OFT, BOFT, HRA, RoAd."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from ..algebra import rotations
from ..algebra.basics import as_matrix
from .method import Contents, Method, names
from .on_base import Stream, found


def read_oft(contents: Contents) -> Stream:
    """W (Rᵀ − I), R of blocks that the entries above the diagonal of a skew matrix give."""
    config = contents.config
    series = config.document.get("use_cayley_neumann", True)
    terms = config.rank("num_cayley_neumann_terms") if series else None
    radius = config.number("eps") if config.flag("coft") else None
    for module in contents.modules:
        of_embedding = "oft_embedding_R" in module.names
        combine = partial(oft_of_embedding if of_embedding else oft, terms=terms, radius=radius)
        role = "oft_embedding_R" if of_embedding else "oft_R"
        yield found(contents, module, (role,), combine, turned=of_embedding or None)


def oft(weight: Tensor, vectors: Tensor, terms: int | None, radius: float | None) -> Tensor:
    """One block for all, or one for each part of the inputs."""
    weight = as_matrix(weight)
    return rotations.rotated_inputs(weight, _blocks(vectors, weight.shape[1], terms, radius))


def oft_of_embedding(weight: Tensor, vectors: Tensor, terms: int | None, radius: float | None) -> Tensor:
    """(Rᵀ − I) W: of embeddings the outputs are turned."""
    return rotations.rotated_outputs(weight, _blocks(vectors, weight.shape[0], terms, radius).mT)


def _blocks(vectors: Tensor, width: int, terms: int | None, radius: float | None) -> Tensor:
    """Rotations of the parts of ``width`` from the entries above the diagonals of skew matrices."""
    size = round((1 + (1 + 8 * vectors.shape[1]) ** 0.5) / 2)
    skew = rotations.skew_from_upper(vectors, size)
    rotation = rotations.cayley(skew if radius is None else rotations.constrained(skew, radius), terms)
    return rotation.expand(width // size, size, size) if rotation.shape[0] == 1 else rotation


def read_boft(contents: Contents) -> Stream:
    """diag(s) W Mᵀ − W, M a product of rotations of blocks."""
    for module in contents.modules:
        yield found(contents, module, ("boft_R", "boft_s"), rotations.butterfly)


def read_hra(contents: Contents) -> Stream:
    """W (R − I), R a product of reflections: rank r at most."""
    orthogonalise = contents.config.flag("apply_GS")
    for module in contents.modules:
        yield found(contents, module, ("hra_u",), partial(rotations.householder, orthogonalise=orthogonalise))


def read_road(contents: Contents) -> Stream:
    """(R − I) W, R a rotation of pairs of outputs."""
    variant, group = contents.config.document.get("variant", "road_1"), contents.config.rank("group_size")
    if variant not in ("road_1", "road_2", "road_4"):
        raise contents.config.wrong("variant", variant, "road_1, road_2 or road_4")
    combine = partial(rotations.road, variant=variant, group=group)
    for module in contents.modules:
        yield found(contents, module, ("road_theta", "road_alpha"), combine)


OFT = Method(
    title="OFT",
    prefix="oft_",
    roles=names("oft_R oft_embedding_R"),
    read=read_oft,
    on_base="OFT rotates the base weight",
    fields=names("""
        oft_block_size coft eps block_share use_cayley_neumann num_cayley_neumann_terms
    """),
)
BOFT = Method(
    title="BOFT",
    prefix="boft_",
    roles=names("boft_R boft_s"),
    read=read_boft,
    on_base="BOFT rotates the base weight",
    fields=names("boft_block_size boft_block_num boft_n_butterfly_factor boft_dropout"),
)
HRA = Method(
    title="HRA",
    prefix="hra_",
    roles=names("hra_u"),
    read=read_hra,
    on_base="HRA reflects the base weight",
    fields=names("apply_GS"),
)
ROAD = Method(
    title="RoAd",
    prefix="road_",
    roles=names("road_theta road_alpha"),
    read=read_road,
    on_base="RoAd rotates the base weight",
    fields=names("variant group_size"),
)
