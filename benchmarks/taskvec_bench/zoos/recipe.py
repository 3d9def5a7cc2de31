"""What a zoo is made of: bases, families of one task each, ranks, and what its files are spoilt by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

Role = Literal["seed", "checkpoint", "subset", "merge", "stranger"]
Fault = Literal["cut short", "not finite", "no config", "no lora_B", "not JSON"]
FAULTS: tuple[Fault, ...] = ("cut short", "not finite", "no config", "no lora_B", "not JSON")


class Kind(NamedTuple):
    """One module of every layer: its path with the layer left open, and its shape, out × in."""

    path: str
    m: int
    n: int


@dataclass(frozen=True)
class Base:
    """A base model: the modules of a layer, and the choices of them that people train."""

    name: str
    kinds: tuple[Kind, ...]
    layers: int
    targets: tuple[tuple[int, ...], ...] = ()  # positions in ``kinds``; by default all

    def trained(self, choice: int) -> list[Kind]:
        chosen = self.targets[choice % len(self.targets)] if self.targets else range(len(self.kinds))
        return [self.kinds[i] for i in chosen]


def llama_base(width: int, layers: int, *, name: str = "llama-like") -> Base:
    """Attention with a quarter of the key and value heads, and an MLP of 2.75 times the width."""
    attention, mlp = "model.layers.{}.self_attn.", "model.layers.{}.mlp."
    few, wide = width // 4, 11 * width // 4
    kinds = (
        Kind(attention + "q_proj", width, width),
        Kind(attention + "k_proj", few, width),
        Kind(attention + "v_proj", few, width),
        Kind(attention + "o_proj", width, width),
        Kind(mlp + "gate_proj", wide, width),
        Kind(mlp + "up_proj", wide, width),
        Kind(mlp + "down_proj", width, wide),
    )
    return Base(f"{name}-{width}", kinds, layers, ((0, 2), (0, 2), (0, 1, 2, 3), tuple(range(7))))


def square_base(width: int, layers: int) -> Base:
    return Base(f"square-{width}", (Kind("model.layers.{}.self_attn.q_proj", width, width),), layers)


GPT2 = Base("gpt2-like", (Kind("transformer.h.{}.attn.c_attn", 2304, 768),), 3)
BASES = (llama_base(512, 2), llama_base(384, 3, name="other-llama-like"), GPT2)

# how often people choose each
RANKS = (4, *[8] * 6, *[16] * 6, *[32] * 3, *[64] * 2, 128, 256)


@dataclass(frozen=True)
class Recipe:
    """N adapters. The first of a larger zoo of the same recipe are those of the smaller one, bit for bit.

    Attributes:
        adapters: N.
        bases: a family is trained on one of them, drawn by equal chance.
        ranks: of a family, drawn by equal chance; with several, some members have half or twice that rank.
        dtypes: of a family's files, drawn likewise.
        broken: share of the adapters whose folder is spoilt by one of ``FAULTS``.
        seed: of everything.
    """

    adapters: int
    bases: tuple[Base, ...] = BASES
    ranks: tuple[int, ...] = RANKS
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16")
    broken: float = 0.0
    seed: int = 0


class Member(NamedTuple):
    """Who one adapter is; its tensors are ``factors`` of it."""

    number: int  # its place in the zoo
    name: str
    family: int
    role: Role
    rank: int
    share: float  # of its directions' squares that are the family's; of a checkpoint, how far the training is
    base: Base
    kinds: tuple[Kind, ...]
    dtype: str
    fault: Fault | None

    @property
    def paths(self) -> list[str]:
        return [kind.path.format(layer) for kind in self.kinds for layer in range(self.base.layers)]


class Part(NamedTuple):
    """A family's member by its place: how it is called, what it is, its share, and its rank next to the family's."""

    name: str
    role: Role
    share: float
    rank: float = 1


# a task trained twice, on a part of its data and at two ranks; two checkpoints; a merge with the next; a stranger
FAMILY = (
    Part("seed0", "seed", 0.8),
    Part("seed0-step0300", "checkpoint", 0.3),
    Part("seed0-step0700", "checkpoint", 0.7),
    Part("seed1", "seed", 0.6),
    Part("seed2-wide", "seed", 0.7, 2),
    Part("part", "subset", 0.7, 0.5),
    Part("merge", "merge", 0.7),
    Part("other", "stranger", 0.0),
)


def members(recipe: Recipe) -> Iterator[Member]:
    """Every adapter of the zoo, in the order of their names."""
    for index in range(recipe.adapters):
        yield member(recipe, index)


def member(recipe: Recipe, index: int) -> Member:
    family, place = divmod(index, len(FAMILY))
    draw = generator(recipe, "family", family)
    base = recipe.bases[draw.integers(len(recipe.bases))]
    rank = recipe.ranks[draw.integers(len(recipe.ranks))]
    dtype = recipe.dtypes[draw.integers(len(recipe.dtypes))]
    kinds = tuple(base.trained(int(draw.integers(1 << 16))))
    part = FAMILY[place]
    if len(set(recipe.ranks)) > 1:
        rank = min(max(int(rank * part.rank), min(recipe.ranks)), max(recipe.ranks))
    spoilt = generator(recipe, "fault", index)
    fault = FAULTS[spoilt.integers(len(FAULTS))] if spoilt.random() < recipe.broken else None
    name = f"task{family:05}-{place}-{part.name}"
    return Member(index, name, family, part.role, rank, part.share, base, kinds, dtype, fault)


def generator(recipe: Recipe, what: str, *where: int) -> np.random.Generator:
    """Random numbers of one thing of the zoo, whatever else was drawn."""
    return np.random.Generator(np.random.SFC64([recipe.seed, *what.encode(), *where]))


def square(adapters: int, width: int = 1024, layers: int = 16, rank: int = 8, **also: Any) -> Recipe:
    """The zoo of the times: ``layers`` modules of width², one rank, fp32."""
    return Recipe(adapters, (square_base(width, layers),), (rank,), ("float32",), **also)


def small(adapters: int, **also: Any) -> Recipe:
    """For tens of thousands: four modules of 128², r = 4 to 16, fp32."""
    return Recipe(adapters, (square_base(128, 4),), (4, 8, 16), ("float32",), **also)


def mixed(adapters: int, **also: Any) -> Recipe:
    """Three bases, seven shapes, ranks of 4 to 256, three dtypes; some 2 MB an adapter."""
    return Recipe(adapters, **also)
