"""Adapters that are one file: recognised by the names of its tensors, never by its own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from ..adapters import Adapter, LeftOut, Module, counted
from ..errors import TaskvecError
from ..paths import unwrapped
from .dora import LOW_RANK, decomposed, takes_low_rank
from .format import Location, ReadOptions
from .reading.archives import open_weights
from .reading.files import digest, member, regular
from .reading.tensors import TensorFile
from .recipe import SAVE_AGAIN, Recipe, check_values, digest_with_base, number
from .starts import PISSA, is_untouched
from .starts import WARNING as UNTOUCHED


@dataclass(frozen=True)
class Piece:
    """One module's update; its scale is the recipe's.

    Args:
        path: of the module.
        recipe: of the update; of a DoRA module of its low-rank part.
        scale_source: how the scale was found.
        alpha: that the scale was made of.
        warnings: what is odd about it.
        dora: whether it is a DoRA module.
        magnitude: the tensor of its magnitudes.
    """

    path: str
    recipe: Recipe
    scale_source: str
    alpha: float | None = None
    warnings: tuple[str, ...] = ()
    dora: bool = False
    magnitude: str | None = None


@dataclass(frozen=True)
class Content:
    """What a format makes of a file."""

    pieces: Sequence[Piece]
    left_out: Sequence[LeftOut] = ()
    base_model: str | None = None
    configs: tuple[Path, ...] = ()  # files beside it that were read


@dataclass(frozen=True)
class SingleFile:
    """A format of one file.

    Args:
        name: what ``inspect`` calls it.
        claims: whether tensors of these names are of this format; the second argument says whether a config of PEFT
            lies beside the file.
        content: the updates in the opened file.
        open: how the file is opened.
    """

    name: str
    claims: Callable[[Set[str], bool], bool]
    content: Callable[[TensorFile, ReadOptions], Content]
    open: Callable[[Path], TensorFile] = open_weights

    def discover(self, path: Path) -> list[Location]:
        """Nothing: the registry asks ``claims``, so that a header is read once for all formats."""
        return []

    def read(self, location: Location, options: ReadOptions) -> list[Adapter]:
        """The one adapter in the file."""
        where = location.file
        file = self.open((member(where.parent, where.name) or where) if location.path.is_dir() else regular(where))
        content = self.content(file, options)
        if not content.pieces:
            reason = f": {content.left_out[0].reason}" if content.left_out else ""
            raise TaskvecError(f"has no module that can be compared{reason}", where=where, fix="leave it out")
        low_rank = any(piece.dora for piece in content.pieces) and takes_low_rank(where, options)
        modules = _modules(content.pieces, options, low_rank)
        if is_untouched([piece.recipe for piece in content.pieces if not piece.dora]):
            modules = {
                path: replace(module, start=PISSA, warnings=(*module.warnings, UNTOUCHED))
                for path, module in modules.items()
            }
        counts = Counter(warning for module in modules.values() for warning in module.warnings)
        warnings = tuple(f"{count} of {len(modules)} modules: {warning}" for warning, count in counts.items())
        unused = [LeftOut(piece.magnitude, LOW_RANK) for piece in content.pieces if low_rank and piece.magnitude]
        made = digest_with_base(digest(where, *content.configs), modules.values())
        adapter = Adapter(
            name=location.name,
            path=location.path,
            format=self.name,
            base_model=content.base_model,
            modules=modules,
            digest=made,
            left_out=counted((*content.left_out, *unused), file.shapes),
            warnings=warnings,
            parameters=sum(map(math.prod, file.shapes.values())),
        )
        return [adapter]


def _modules(pieces: Sequence[Piece], options: ReadOptions, low_rank: bool) -> dict[str, Module]:
    checked: set[str] = set()
    modules: dict[str, Module] = {}
    for piece in sorted(pieces, key=lambda piece: piece.path):
        recipe, path = piece.recipe, unwrapped(piece.path)
        if path in modules:
            raise TaskvecError(f"has two updates of {path}", where=recipe.file.path, fix=SAVE_AGAIN)
        shape, rank = recipe.outline()
        warnings = piece.warnings
        if piece.dora and low_rank:
            warnings = (*warnings, LOW_RANK)
        elif piece.dora:
            recipe = decomposed(recipe, path, piece.magnitude, options)
        if recipe.weight is not None:
            shape, rank = recipe.outline(options.kept)
        for name in set(recipe.names) - checked:
            check_values(recipe.file, name)
            checked.add(name)
        scale, source = piece.recipe.scale, piece.scale_source
        modules[path] = Module(path, shape, rank, piece.alpha, scale, source, recipe, warnings)
    return modules


def needed(file: TensorFile, names: Mapping[str, str], *roles: str) -> tuple[str, ...]:
    """The names of a module's tensors by role; an error that names the missing one."""
    for role in roles:
        if role not in names:
            what = f"has {next(iter(names.values()))} but no {role} of that module"
            raise TaskvecError(what, where=file.path, fix=SAVE_AGAIN)
    return tuple(names[role] for role in roles)


def over_rank(file: TensorFile, names: Mapping[str, str], down: str) -> tuple[float, float | None, str]:
    """Scale, alpha and source: the tensor ``alpha`` by the rows of the factor ``down``; 1 without an alpha."""
    if "alpha" not in names:
        return 1.0, None, "1: no alpha in the file"
    alpha, rows = number(file, names["alpha"]), next(iter(file.shapes[down]), 0)
    return alpha / max(rows, 1), alpha, "alpha tensor/r"


def put(names: dict[str, str], role: str, name: str, where: Path) -> None:
    """Give a tensor its role in its module, which no other may have."""
    if role in names:
        got = f"{names[role]!r} and {name!r}"
        raise TaskvecError(
            f"has two {role} for one module", where=where, got=got, fix="save each adapter to its own file"
        )
    names[role] = name
