"""Starts of training that take a first B₀·A₀ off the base weight (PiSSA and the like), told by the factors' values.

The official recipes overwrite the config's ``init_lora_weights``, so that B·A looks like any update though it also
holds B₀·A₀. Such a start is balanced, B₀ᵀB₀ = A₀A₀ᵀ, with orthogonal columns, and training leaves most of it in place.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import TaskvecError
from .algebra.basics import as_matrix
from .algebra.lora import linear
from .reading.files import file_errors, member
from .reading.tensors import TensorFile, Values, open_tensors
from .recipe import Recipe, check_values

PISSA = "pissa"
# of an untouched start 0.08 and 0.03; of 61 real adapters at least 0.28 and 0.34
BALANCE, COHERENCE = 0.1, 0.06
MODULES = 9  # of which the medians are taken, spread over the file
WARNING = (
    "B and A are balanced as a start from the base's own singular directions (PiSSA) leaves them: B·A also holds what "
    "was taken off the base weight; convert it with PEFT's path_initial_model_for_weight_conversion, or put the "
    "start that its recipe saved beside it (pissa_init)"
)
FOLDER = re.compile(r"(?:(?:pissa|olora|corda|loftq|lora_ga|loraga|eva)[\w.-]*_)?init(?:ial)?(?:_[\w.-]+)?$")
# where PEFT's examples save it, next to the folder of the trained adapter
NEXT_TO_IT = ("pissa_init", "olora_init", "corda_init", "loftq_init", "lora_ga_init")
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
MOST_ENTRIES = 1000
OF_START = "start:"


def is_untouched(recipes: Sequence[Recipe]) -> bool:
    """Whether plain factors are those of a balanced start: medians over some modules of balance and coherence."""
    plain = [recipe for recipe in recipes if recipe.combine is linear and recipe.weight is None]
    plain = [recipe for recipe in plain if len(recipe.file.shapes[recipe.names[1]]) == 2]
    plain = [recipe for recipe in plain if recipe.file.shapes[recipe.names[1]][0] > 1]
    if not plain:
        return False
    some = plain[:: -(-len(plain) // MODULES)]
    if _are_coherent(some):
        return False
    found: list[tuple[float, float]] = []
    for recipe in some:
        found.append(_balance_and_coherence(*linear(*map(recipe.file.tensor, recipe.names))))
        for least, values in zip((BALANCE, COHERENCE), zip(*found, strict=True), strict=True):
            if 2 * sum(value >= least for value in values) > len(some):
                return False  # whatever the others are
    return median(one for one, _ in found) < BALANCE and median(other for _, other in found) < COHERENCE


def _are_coherent(recipes: Sequence[Recipe]) -> bool:
    """Whether B alone rules a balanced start out, as it does for most adapters: A is not looked at."""
    coherent, most = 0, len(recipes) // 2
    for left, recipe in zip(reversed(range(len(recipes))), recipes, strict=True):
        b = _numbers(as_matrix(recipe.file.tensor(recipe.names[0])))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            coherent += _coherence((b.T @ b).astype(np.float64)) >= COHERENCE  # no for NaN
        if coherent > most or coherent + left <= most:
            break
    return coherent > most


def _coherence(gram: NDArray[np.float64]) -> float:
    """The root mean square of the cosines of two columns, from their Gram matrix (r, r); 1 for one column."""
    r, squares = len(gram), gram.diagonal()
    if r == 1:
        return 1.0
    cosines = float((gram * gram / squares / squares[:, None]).sum())
    return math.sqrt(max(0.0, cosines - r) / (r * (r - 1)))


def _balance_and_coherence(b: Tensor, a: Tensor) -> tuple[float, float]:
    """‖BᵀB − AAᵀ‖ / ‖AAᵀ‖, and the root mean square of the cosines of two columns of B.

    By numpy: threads of torch wait for each other longer than this takes. Half precisions in fp32, which is enough.
    """
    if b.shape[1] != len(a):
        return 1.0, 1.0
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers near fp32's largest: no start
        gram_b, gram_a = ((x.T @ x).astype(np.float64) for x in (_numbers(b), _numbers(a).T))  # [r, r]
    if not (np.isfinite(gram_b).all() and np.isfinite(gram_a).all()):
        return 1.0, 1.0
    size = float(np.linalg.norm(gram_a))
    if not gram_b.diagonal().all() or not size:
        return 1.0, 1.0
    return float(np.linalg.norm(gram_b - gram_a)) / size, _coherence(gram_b)


def _numbers(t: Tensor) -> NDArray[np.floating[Any]]:
    """A tensor as numpy has it; no copy in fp32 and fp64."""
    found: NDArray[np.floating[Any]] = (t if t.dtype == torch.float64 else t.float()).numpy()
    return found


class WithStart:
    """An adapter's weights and those of its start in one: the start's names begin with ``start:``."""

    def __init__(self, file: TensorFile, start: TensorFile) -> None:
        self.path, self.file, self.start = file.path, file, start
        self.shapes = file.shapes | {f"{OF_START}{name}": shape for name, shape in start.shapes.items()}

    def tensor(self, name: str) -> Tensor:
        return self._of(name).tensor(name.removeprefix(OF_START))

    def rows(self, name: str, first: int, last: int) -> Tensor:
        return self._of(name).rows(name.removeprefix(OF_START), first, last)

    def values(self, name: str) -> Values:
        return self._of(name).values(name.removeprefix(OF_START))

    def _of(self, name: str) -> TensorFile:
        return self.start if name.startswith(OF_START) else self.file

    def __reduce__(self) -> tuple[Any, ...]:
        return WithStart, (self.file, self.start)


def start_beside(weights: Path) -> TensorFile | None:
    """The start that a recipe saved in an adapter's folder, or next to it under a documented name; None without one."""
    folder = weights.parent
    with file_errors(folder), os.scandir(folder) as scan:
        entries = sorted(entry.name for entry, _ in zip(scan, range(MOST_ENTRIES), strict=False))
    inside = [folder / name for name in entries if FOLDER.match(name)]
    for place in (*inside, *(folder.parent / name for name in NEXT_TO_IT)):
        if place.is_dir() and place != folder:
            for file in WEIGHTS:
                if (found := member(place, file)) is not None:
                    return open_tensors(found)
    return None


def is_near(recipes: Sequence[Recipe], start: TensorFile) -> bool:
    """Whether the factors can have come from a start: the median over some modules of ‖B − B₀‖ is below ‖B₀‖."""
    pairs = []
    for recipe in recipes[:: -(-len(recipes) // MODULES)]:
        name = recipe.names[0]
        if start.shapes.get(name) == recipe.file.shapes[name]:
            b, b0 = recipe.file.tensor(name).float(), start.tensor(name).float()
            pairs.append(float((b - b0).norm()) / max(float(b0.norm()), 1e-30))
    return not pairs or median(pairs) < 1


def without_start(recipe: Recipe, start: TensorFile, scale: float) -> Recipe:
    """B·A − B₀·A₀ of one module.

    Raises:
        TaskvecError: the start lacks the module, or has it in another shape.
    """
    for name in recipe.names:
        if start.shapes.get(name) != recipe.file.shapes[name]:
            fix = "put the start of this very adapter beside it"
            raise TaskvecError(f"is no start of {recipe.file.path}: {name} differs", where=start.path, fix=fix)
        check_values(start, name)
    names = (*recipe.names, *(f"{OF_START}{name}" for name in recipe.names))
    return Recipe(WithStart(recipe.file, start), names, less_start, scale, recipe.expected)


def less_start(b: Tensor, a: Tensor, b0: Tensor, a0: Tensor) -> tuple[Tensor, Tensor]:
    """B·A − B₀·A₀ as factors of twice the rank."""
    (b, a), (b0, a0) = linear(b, a), linear(b0, a0)
    return torch.cat([b, b0.to(b.dtype)], 1), torch.cat([a, -a0.to(a.dtype)])
