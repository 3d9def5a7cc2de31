"""Both directions of a pair as the result of a sweep, for the questions that a result answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from ..adapters import Adapter
from ..chance.spectra import participation
from ..documents import as_text
from ..results.projection import Projection
from .baseline import variables
from .layout import PAIR, SOURCE, coordinates, start_of
from .shifted import Pair, Shifted


def pair_dataset(
    a: Adapter, b: Adapter, both: tuple[Projection, Projection], found: Mapping[Pair, Shifted], lam: int
) -> xr.Dataset:
    """The modules that a and b share, by ``source`` and ``target`` (0: a, 1: b); a pair of one with itself is NaN.

    Args:
        a: one adapter.
        b: the other; the same one again gets another name.
        both: a→b and b→a.
        found: their layer baseline.
        lam: which λ of it.
    """
    paths = [module.module for module in both[0].modules]
    L = len(paths)
    width = max((len(module.s1) for one in both for module in one.modules), default=1)
    spectrum, norm = np.zeros((L, 2, width)), np.zeros((L, 2))
    names = [name for name in (both[0].modules[0].values if L else ("rec", "captured")) if name != "entropy"]
    pairs = {name: np.full((L, 2, 2), np.nan, np.float32) for name in names}
    entropy = np.full((L, 2), np.nan)
    for i, one in enumerate(both):
        for row, module in enumerate(one.modules):
            spectrum[row, i, : len(module.s1)] = module.s1
            norm[row, 1 - i] = module.norm
            entropy[row, i] = module.values["entropy"]
            for name in names:
                pairs[name][row, i, 1 - i] = module.values[name]
    result = coordinates([a, b], paths).assign({name: (PAIR, values) for name, values in pairs.items()})
    result = result.assign(
        entropy=(SOURCE, entropy),
        norm=(SOURCE, norm),
        participation=(SOURCE, participation(spectrum)),
        spectrum=((*SOURCE, "component"), spectrum),
    )
    named = [a.name, b.name if b.name != a.name else f"{b.name} again"]
    result = result.assign(variables(found, result, lam)).assign_coords(source=named, target=named)
    return result.assign_attrs(input_sha256=as_text([a.digest, b.digest]), starts=as_text(map(start_of, (a, b))))
