"""One group of modules through the kernels: every ordered pair of its adapters, part against part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import LowRankSVD, pairwise

from .adapters.model import Adapter
from .canonical import canonical_forms
from .grouping import Group
from .sparsity import OF_S2, Sparsity


@dataclass(frozen=True)
class Options:
    """What is asked of ``pairwise``."""

    metrics: tuple[str, ...]
    p: float | None = None
    precision: str = "highest"
    backend: str | None = None
    sparsity: Sparsity = field(default_factory=Sparsity)
    device: str = "cpu"

    def by_lam(self, metric: str) -> bool:
        """Whether the results of a metric have a dimension for λ."""
        return self.sparsity.several and metric in OF_S2


@dataclass(frozen=True)
class GroupResult:
    """Results of a group of L modules that N adapters have, fp32."""

    pairs: dict[str, NDArray[np.float32]]  # by metric, [L, N, N] or [L, λ, N, N]: source, target
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
    lams = {name: (len(options.sparsity.lams),) if options.by_lam(name) else () for name in options.metrics}
    pairs = {name: np.full((L, *lams[name], N, N), np.nan, np.float32) for name in options.metrics}
    spectrum = np.zeros((L, N, max(part.rank for part in group.parts)), np.float32)
    rows = [np.searchsorted(group.adapters, part.adapters) for part in group.parts]

    def members(index: int) -> list[Adapter]:
        return [adapters[i] for i in group.parts[index].adapters]

    @lru_cache(maxsize=len(group.parts) if group.resident else 1)
    def forms(index: int) -> LowRankSVD:
        return canonical_forms(members(index), group.modules, group.parts[index].rank, options.device)

    for i, first in enumerate(group.parts):
        x = forms(i)
        spectrum[:, rows[i], : first.rank] = x.S.cpu().numpy()
        for j in range(i, len(group.parts)):
            sides = [members(i)] if i == j else [members(i), members(j)]
            forward, backward = pairwise(
                x,
                None if i == j else forms(j),
                metrics=options.metrics,
                precision=options.precision,
                p=options.p,
                backend=options.backend,
                **options.sparsity.arguments(group.modules, *sides),
            )
            for name, block in pairs.items():
                block[..., rows[i][:, None], rows[j]] = by_module(forward[name], options.by_lam(name))
                if backward is not None:
                    block[..., rows[j][:, None], rows[i]] = by_module(backward[name], options.by_lam(name))
            advance(L * len(rows[i]) * len(rows[j]) * (1 if i == j else 2))
    return GroupResult(pairs, spectrum)


def by_module(values: Tensor, by_lam: bool) -> NDArray[np.float32]:
    """[λ, L, ...] as [L, λ, ...], or without λ."""
    array: NDArray[np.float32] = (values.transpose(0, 1) if by_lam else values[0]).cpu().numpy()
    return array
