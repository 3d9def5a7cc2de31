"""The factors of a member: a family's directions, its own, and one that all adapters of the base share.

Spectra decay as a power of k, as those of real adapters do. A checkpoint is on its way to the adapter that it is of,
leading directions first; a subset has the family's leading directions; a merge has the leading halves of two families.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .recipe import FAMILY, Kind, Member, Recipe, generator, member

Floats = NDArray[np.float32]
ALPHA = 16.0
DECAY = (0.4, 1.4)  # powers of k by which spectra fall
COMMON = 0.15  # share of the squares of every direction that lies along the base's common one
SIZE = 1.0  # ‖τ‖ of a fully trained module, about


def factors(recipe: Recipe, who: Member) -> dict[str, tuple[Floats, Floats]]:
    """By module path, B (m, r) and A (r, n), fp32; the update is alpha/r · B · A, with ``ALPHA``."""
    found = {}
    s = spectrum(recipe, who)
    for place, kind in enumerate(who.kinds):
        u, v = directions(recipe, who, kind, place)  # [layers, r, m], [layers, r, n]
        size = np.sqrt(s * who.rank / ALPHA)[:, None]
        b, a = u * (size / kind.m**0.5), v * (size / kind.n**0.5)
        for layer in range(who.base.layers):
            found[kind.path.format(layer)] = np.ascontiguousarray(b[layer].T), a[layer]
    return found


def spectrum(recipe: Recipe, who: Member) -> Floats:
    """Singular values (r,), about: directions are nearly orthogonal."""
    k = np.arange(1, who.rank + 1)
    s = k ** -generator(recipe, "decay", who.family).uniform(*DECAY)
    s *= SIZE / np.linalg.norm(s)
    if who.role == "checkpoint":
        s *= who.share ** (1 + np.log2(k) / 3)  # the leading ones are learnt first
    return s.astype(np.float32)


def directions(recipe: Recipe, who: Member, kind: Kind, place: int) -> tuple[Floats, Floats]:
    """u (layers, r, m) and v (layers, r, n) of unit variance."""
    own = normal(recipe, "own", who.number, place, (who.base.layers, who.rank, kind.m + kind.n))
    match who.role:
        case "checkpoint":
            whole = member(recipe, who.number - who.number % len(FAMILY))
            end = np.concatenate(directions(recipe, whole, kind, place), axis=-1)
            mixed = mix(own, end, who.share**0.5)
            return mixed[..., : kind.m], mixed[..., kind.m :]
        case "merge":
            half = who.rank // 2
            mix(own[:, : who.rank - half], of_family(recipe, who, kind, place), who.share)
            mix(own[:, who.rank - half :], of_family(recipe, who, kind, place, 1), who.share)
        case "subset":
            mix(own[:, : who.rank - who.rank // 2], of_family(recipe, who, kind, place), who.share)
        case "seed":
            mix(own, of_family(recipe, who, kind, place), who.share)
        case "stranger":
            pass
    common = normal(recipe, "common", recipe.bases.index(who.base), place, (kind.m + kind.n,))
    own = mix(own, np.broadcast_to(common, own.shape), COMMON)
    return own[..., : kind.m], own[..., kind.m :]


def mix(own: Floats, shared: Floats, share: float) -> Floats:
    """``own`` (layers, r, n), in place, with ``share`` of its squares replaced by the first of ``shared``."""
    r = min(own.shape[1], shared.shape[1])
    own[:, :r] *= (1 - share) ** 0.5
    own[:, :r] += np.float32(share**0.5) * shared[:, :r]
    return own


def of_family(recipe: Recipe, who: Member, kind: Kind, place: int, after: int = 0) -> Floats:
    """Directions (layers, r, m + n) that the members of a family share, or those of the family ``after`` it."""
    rank = member(recipe, who.number - who.number % len(FAMILY)).rank
    return family_directions(recipe, who.family + after, who.base.layers, rank, kind, place)


@lru_cache(maxsize=32)
def family_directions(recipe: Recipe, family: int, layers: int, rank: int, kind: Kind, place: int) -> Floats:
    return normal(recipe, "shared", family, place, (layers, rank, kind.m + kind.n))


def normal(recipe: Recipe, what: str, which: int, place: int, shape: tuple[int, ...]) -> Floats:
    return generator(recipe, what, which, place).standard_normal(shape, dtype=np.float32)
