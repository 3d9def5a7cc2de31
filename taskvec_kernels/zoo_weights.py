"""λ, solver and seeds for every pair of a zoo, as ``pairwise`` takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from .dispatch.arguments import Array, expect
from .seeding import seeds
from .solver import Solver, check_lam
from .sparse import seed_tensor
from .types import LowRankSVD, Weights

Seeds = int | Array | tuple[Array, Array]


def zoo_weights(
    lam: float | Sequence[float] | Array, solver: Solver, seed: Seeds, x: LowRankSVD, y: LowRankSVD | None
) -> tuple[Weights, bool]:
    """``Weights`` for x against y, and whether λ is an axis of the results.

    Raises:
        TypeError, ValueError: a λ that is no weight; a seed that is neither an int nor int64 (..., N) and (..., M).
    """
    if isinstance(lam, Tensor | np.ndarray):
        dims = list(np.shape(lam))
        expect(len(dims) <= 1, lambda: f"pairwise: lam must be a number or a vector, got shape {dims}")
        lam = lam.tolist()
    several = isinstance(lam, Sequence)
    lams = tuple(check_lam("pairwise", value) for value in (lam if isinstance(lam, Sequence) else [lam]))
    expect(len(lams) >= 1, lambda: "pairwise: lam is an empty list")
    if not solver.random:
        return Weights(lams, solver), several
    shapes = [tuple(side.S.shape[:-1]) for side in (x, y) if side is not None]
    if isinstance(seed, int):
        return Weights(lams, solver, *(seeds(seed, shape, x.S.device) for shape in shapes)), several
    given = seed if isinstance(seed, tuple) else (seed,)
    expect(
        len(given) == len(shapes),
        lambda: f"pairwise: seed must be an int or one tensor for {'x and one for y' if y else 'x'}, got {len(given)}",
    )
    values = [seed_tensor("pairwise", one).to(x.S.device) for one in given]
    got = [tuple(value.shape) for value in values]
    expect(got == shapes, lambda: f"pairwise: seed must be of shape {shapes}, got {got}")
    return Weights(lams, solver, *values), several
