"""One group of modules through the kernels: every ordered pair of its adapters, part against part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from taskvec_kernels import LowRankSVD, pairwise

from .adapters.model import Adapter
from .canonical import canonical_forms
from .grouping import Group


@dataclass(frozen=True)
class Options:
    """What is asked of ``pairwise``."""

    metrics: tuple[str, ...]
    p: float | None = None
    precision: str = "highest"
    backend: str | None = None


@dataclass(frozen=True)
class GroupResult:
    """Results of a group of L modules that N adapters have, fp32."""

    pairs: dict[str, NDArray[np.float32]]  # by metric, [L, N, N]: source, target
    spectrum: NDArray[np.float32]  # [L, N, k], zeros beyond an adapter's rank


def compare_group(
    adapters: Sequence[Adapter], group: Group, options: Options, advance: Callable[[int], None]
) -> GroupResult:
    """Project every adapter of the group on every other, and on itself.

    Args:
        adapters: the whole zoo.
        group: which modules and adapters of it.
        options: metrics and how to compute them.
        advance: told the number of ordered pairs (of a module) after each call of the kernels.

    Cost:
        2 r² (m + n) flop an unordered pair. Canonical forms of all parts are kept if the group says that they fit;
        otherwise two parts are, and each is factorised again for every part before it.
    """
    L, N = len(group.modules), len(group.adapters)
    pairs = {name: np.full((L, N, N), np.nan, np.float32) for name in options.metrics}
    spectrum = np.zeros((L, N, max(part.rank for part in group.parts)), np.float32)
    rows = [np.searchsorted(group.adapters, part.adapters) for part in group.parts]

    @lru_cache(maxsize=len(group.parts) if group.resident else 1)
    def forms(index: int) -> LowRankSVD:
        part = group.parts[index]
        return canonical_forms([adapters[i] for i in part.adapters], group.modules, part.rank)

    for i, first in enumerate(group.parts):
        x = forms(i)
        spectrum[:, rows[i], : first.rank] = x.S.numpy()
        for j in range(i, len(group.parts)):
            forward, backward = pairwise(
                x,
                None if i == j else forms(j),
                metrics=options.metrics,
                precision=options.precision,
                p=options.p,
                backend=options.backend,
            )
            for name, block in pairs.items():
                block[:, rows[i][:, None], rows[j]] = forward[name].numpy()
                if backward is not None:
                    block[:, rows[j][:, None], rows[i]] = backward[name].numpy()
            advance(L * len(rows[i]) * len(rows[j]) * (1 if i == j else 2))
    return GroupResult(pairs, spectrum)
