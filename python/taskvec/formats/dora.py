"""DoRA, in whatever format: magnitudes beside the factors, which make the update a function of the base weight."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor

from ..errors import TaskvecError
from .algebra import with_base
from .algebra.basics import wide
from .format import NEEDS_BASE, ReadOptions
from .recipe import SAVE_AGAIN, Recipe, check_values

LOW_RANK = "DoRA: the low-rank part alone, without the magnitudes"


def takes_low_rank(where: Path, options: ReadOptions) -> bool:
    """Whether the low-rank part stands for a DoRA update; TaskvecError if that is neither asked for nor avoidable."""
    if options.base is None and options.dora == "refuse":
        fix = 'give the base with --base, or take the low-rank part with --dora low-rank (in Python dora="low-rank")'
        raise TaskvecError(f"is a DoRA adapter: its update is more than B·A, and {NEEDS_BASE}", where=where, fix=fix)
    return options.dora == "low-rank"


def decomposed(
    recipe: Recipe, path: str, magnitude: str | None, options: ReadOptions, *, turned: bool | None = None
) -> Recipe:
    """The whole update of a DoRA module: m / ‖W + τ‖ ∘ (W + τ) − W, τ being what ``recipe`` makes.

    ``turned`` says that the base stores the weight as in × out, where the adapter tells it.

    Raises:
        TaskvecError: no magnitudes, or no such weight in the base.
    """
    if magnitude is None:
        raise TaskvecError(f"has no magnitudes of {path}", where=recipe.file.path, fix=SAVE_AGAIN)
    check_values(recipe.file, magnitude)
    shape, _ = recipe.outline()
    weight = options.weights.weight(path, shape, turned=turned)
    by_row = is_by_row(magnitude, recipe.file.shapes[magnitude], shape)
    on_base = recipe.weight is not None
    combine = partial(whole, own=recipe.combine, scale=recipe.scale, by_row=by_row, on_base=on_base)
    return Recipe(recipe.file, (*recipe.names, magnitude), combine, 1.0, recipe.expected, weight)


def is_by_row(name: str, shape: tuple[int, ...], update: tuple[int, int]) -> bool:
    """Whether there is a magnitude for each output: but for (1, in, …) of older LyCORIS, and MLX's embeddings."""
    if name.endswith("dora_scale"):
        return not (len(shape) > 1 and shape[0] == 1 != shape[1])
    return not (shape == update[1:] != update[:1])


def whole(
    weight: Tensor,
    *tensors: Tensor,
    own: Callable[..., tuple[Tensor, Tensor] | Tensor],
    scale: float,
    by_row: bool,
    on_base: bool = False,
) -> Tensor:
    """The update from the base weight, the tensors of the low-rank part, and the magnitudes.

    ``on_base`` says that the low-rank part is a function of the base weight too, as of PiSSA.
    """
    made = own(weight, *tensors[:-1]) if on_base else own(*tensors[:-1])
    product = wide(made) if isinstance(made, Tensor) else wide(made[0]) @ wide(made[1])
    return with_base.dora(weight, scale * product, tensors[-1], by_row)
