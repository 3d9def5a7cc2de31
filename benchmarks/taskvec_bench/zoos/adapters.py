"""A zoo in memory, without a file: what ``taskvec.load_zoo`` would read."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from pathlib import Path

import torch

from taskvec.adapters import Adapter, LowRank, Module

from .factors import ALPHA, factors
from .recipe import Member, Recipe, members


def adapters(recipe: Recipe) -> tuple[Adapter, ...]:
    """Every adapter but the broken ones; tensors in memory, 4 r (m + n) bytes a module or half of that."""
    return tuple(adapter(recipe, who) for who in members(recipe) if who.fault is None)


def adapter(recipe: Recipe, who: Member) -> Adapter:
    modules = {}
    dtype, scale = getattr(torch, who.dtype), ALPHA / who.rank
    for path, (b, a) in sorted(factors(recipe, who).items()):
        shape = (b.shape[0], a.shape[1])
        update = LowRank(torch.from_numpy(b).to(dtype), torch.from_numpy(a).to(dtype), scale)
        # the update is bound now: a closure would see the last one
        modules[path] = Module(path, shape, who.rank, ALPHA, scale, "alpha/r", partial(_itself, update))
    digest = sha256(repr((recipe.seed, recipe.bases, recipe.ranks, recipe.dtypes, who)).encode()).hexdigest()
    return Adapter(who.name, Path(who.name), "made", who.base.name, modules, digest)


def _itself(update: LowRank) -> LowRank:
    return update
