"""What every format gives: where its adapters are, and the adapters themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypedDict

from ..adapters import Adapter
from ..errors import TaskvecError
from ..hub import local
from .checkpoint import Checkpoint, open_checkpoint
from .given import parse_given
from .heads import Heads, heads_of_base, parse_heads

Dora = Literal["refuse", "low-rank"]
EXACT_SIDE, RANK = 512, 128  # sides up to which every direction is kept, and how many directions of longer ones
NEEDS_BASE = "needs the base weights"
GIVE_BASE = "give the base with --base (in Python base=)"
GIVE_SCALE = "give --alpha or --scale (in Python alpha= or scale=)"


class GivenScale(NamedTuple):
    """A scale that no file says: what it is, the alpha it is made of, and how."""

    value: float
    alpha: float | None
    source: str


class Reading(TypedDict, total=False):
    """``ReadOptions`` as keywords of the functions that read adapters."""

    dora: Dora
    base: str | Path | None
    alpha: float | str | None
    scale: float | str | None
    heads: Heads | str | None
    split_fused: bool
    rank: int | None
    exact: bool


@dataclass(frozen=True)
class ReadOptions:
    """What a reader has to be told.

    Args:
        dora: what becomes of a DoRA adapter without its base: "refuse" it, for its update is not B·A, or take its
            "low-rank" part with a warning. "low-rank" does so with the base too.
        base: the base model: a folder, a weights file, the index of its shards, or an id of the Hugging Face Hub. It
            is read a weight at a time, for updates that are a function of it; full checkpoints become their difference
            from it.
        alpha: of an adapter whose files do not say it; "8,fc=16" gives modules whose names end so another.
        scale: what B·A is multiplied with, of an adapter whose files do not say it; in place of alpha,
            for all modules or by name as alpha.
        heads: of the base model, "n" or "n,g", which files in Meta's rotary order and fused projections need; None:
            from the base model's config.json, where it is on this machine.
        split_fused: split every fused projection into its parts; without, those only that are compared with parts.
        rank: how many singular directions of a dense update of the base are used where it is a source; None: all of
            those of modules of at most 512, 128 of larger ones.
        exact: use all, by whole singular value decompositions.

    Raises:
        TaskvecError: an unknown value; a base that cannot be read.
    """

    dora: Dora = "refuse"
    base: str | Path | None = None
    alpha: float | str | None = None
    scale: float | str | None = None
    heads: Heads | str | None = None
    split_fused: bool = False
    rank: int | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        if self.dora not in ("refuse", "low-rank"):
            raise TaskvecError("unknown value of dora", got=repr(self.dora), expected="'refuse' or 'low-rank'")
        if self.alpha is not None and self.scale is not None:
            raise TaskvecError("alpha and scale are both given", fix="give one of them")
        if self.rank is not None and self.rank < 1:
            raise TaskvecError("rank is not usable", got=str(self.rank), expected="a positive integer")
        if self.rank is not None and self.exact:
            raise TaskvecError("rank and exact are both given", fix="give one of them")
        for name, value in (("alpha", self.alpha), ("scale", self.scale)):
            if value is not None:
                parse_given(name, value)
        self.attention  # noqa: B018  (heads that make no sense are said at once)
        if self.base is not None:
            self.weights  # noqa: B018  (a base that cannot be read is said at once)

    def given_scale(self, rank: int, path: str) -> GivenScale | None:
        """The scale of a module of this rank that a person gives, None if they give none."""
        if self.scale is not None:
            scale = parse_given("scale", self.scale).of(path)
            return None if scale is None else GivenScale(scale, None, "--scale")
        alpha = None if self.alpha is None else parse_given("alpha", self.alpha).of(path)
        return None if alpha is None else GivenScale(alpha / max(rank, 1), alpha, "--alpha/r")

    def kept(self, m: int, n: int) -> int:
        """How many directions of a dense m × n update of the base are used where it is a source."""
        side = min(m, n)
        if self.exact:
            return side
        if self.rank is not None:
            return min(side, self.rank)
        return side if side <= EXACT_SIDE else RANK

    @cached_property
    def attention(self) -> Heads | None:
        """The heads that were given, or those of the base model that was; None without."""
        if isinstance(self.heads, str):
            return parse_heads(self.heads)
        return self.heads or (None if self.base is None else heads_of_base(str(self.base)))

    @cached_property
    def weights(self) -> Checkpoint:
        """The base model."""
        if self.base is None:
            raise TaskvecError("the base model is not given", fix=GIVE_BASE)
        return open_checkpoint(local(self.base, one=True))


@dataclass(frozen=True)
class Location:
    """Where an adapter is: recognised by the names of its files, not read yet."""

    name: str  # what to call it
    path: Path  # its folder, or its weights file
    file: Path  # the file that stands for it: two locations of one file are one adapter
    format: Format


class PassedOver(NamedTuple):
    """What was found beside or below adapters and not read, and why."""

    path: Path
    reason: str


class Format(Protocol):
    """A format of adapters; one module or package of this folder each."""

    @property
    def name(self) -> str: ...

    def discover(self, path: Path) -> list[Location]:
        """The adapters of this format at ``path``, a folder or a file; reads names only, and does not descend."""

    def read(self, location: Location, options: ReadOptions) -> list[Adapter]:
        """Read what ``discover`` found. Tensors stay in the file.

        Raises:
            TaskvecError: anything that is wrong with the files, in one line with the fix.
        """
