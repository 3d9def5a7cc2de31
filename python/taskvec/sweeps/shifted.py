"""Pairs through the kernels once more, with the layers of the target shifted so that no module meets its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import LowRankSVD, Solver

from ..chance.layers import OtherLayers, other_layers
from ..chance.means import NanMean, PooledShare
from ..chance.significance import RecZ
from ..progress import Advance
from ..store.entry import FP32_BYTES, MEMORY_BYTES, Entry, form_bytes
from ..store.factors import Factors
from ..store.kept import Kept
from .compute import Floats, array, both_ways, module_seeds, norms_unknown, whole_norms
from .cut import cut_to_smaller, unequal_ranks
from .options import Options
from .plan import match_modules
from .shifts import groups_of, number_of_shifts, partners

OF_REC = ("rec", "rec_chance", "rec_chance_sd")
SQUARE = 3  # times the modules a pair needs, at most: to compare each with each is faster than to copy them
Norms = tuple[Tensor, Tensor] | None
Pair = tuple[int, int]  # source and target, by position
Way = tuple[Mapping[str, Floats], NDArray[np.float64]]  # metrics (λ, n + 1, L), ‖τ‖² of the targets (n + 1, L)


@dataclass
class Shifted:
    """One ordered pair: itself first, then with its layers shifted; that axis, n + 1 long, is the last one.

    Only modules that can be shifted count, so the first captured is not always that of the whole pair.

    Attributes:
        captured: pooled over modules.
        rec: mean over modules, (λ, n + 1).
        rec_z: z_S, (λ, n + 1).
        cut: captured, pooled, of both cut to the smaller rank; nothing is added where ranks are equal.
        of_cut: the same of the pair itself, by module.
    """

    captured: PooledShare
    rec: NanMean
    rec_z: RecZ
    cut: PooledShare
    of_cut: dict[str, float] = field(default_factory=dict)

    @classmethod
    def new(cls, shifts: int, lams: int) -> Shifted:
        return cls(
            PooledShare((shifts + 1,)),
            NanMean((lams, shifts + 1)),
            RecZ((lams, shifts + 1)),
            PooledShare((shifts + 1,)),
        )

    def add(self, values: Mapping[str, Floats], squares: NDArray[np.float64]) -> None:
        self.captured.add(values["captured"][0].T, squares.T)
        of_rec = [values[name].transpose(2, 0, 1) for name in OF_REC if name in values]  # [L, λ, n + 1]
        self.rec.add(of_rec[0])
        if len(of_rec) == len(OF_REC):
            self.rec_z.add(*of_rec)

    def add_cut(self, modules: Sequence[str], values: Mapping[str, Floats], squares: NDArray[np.float64]) -> None:
        captured = values["captured"][0]
        self.of_cut |= dict(zip(modules, captured[0].tolist(), strict=True))
        if len(modules) > 1:
            self.cut.add(captured.T, squares.T)

    def other_layers(self, lam: int) -> dict[str, OtherLayers]:
        """Of pooled captured, and of REC for one λ."""
        captured, rec = self.captured.value, self.rec.value[lam]
        return {
            "captured": other_layers(captured[0], captured[1:]),
            "rec": other_layers(rec[0], rec[1:], logarithm=False),
        }


def shifted_pairs(
    factors: Factors,
    pairs: Iterable[Pair],
    options: Options,
    *,
    memory: int = MEMORY_BYTES,
    advance: Advance = lambda steps: None,
) -> dict[Pair, Shifted]:
    """Both directions of unordered ``pairs`` with the layers shifted; z_S where the options have its metrics.

    ``advance`` is told of each pair once.

    Cost:
        At most 39 times ``pairwise`` of these pairs, twice that where ranks differ, and the canonical forms that
        ``memory`` does not hold.
    """
    found: dict[Pair, Shifted] = {}
    kept, entries = Kept(factors, memory, options.device), factors.entries
    asked = ("captured", "rec", *(name for name in OF_REC[1:] if name in options.metrics))
    whole = replace(options, metrics=asked, p=None, spectra=False)
    cut = replace(whole, metrics=("captured",), solver=Solver())
    for groups, some in by_modules(entries, pairs):
        shifts = number_of_shifts(groups)
        for i, j in some:
            found |= {one: Shifted.new(shifts, len(whole.solver.lams)) for one in ((i, j), (j, i))}
        for modules in groups:
            meets = partners(len(modules), shifts)
            for i, j in near_each_other(some, entries, modules, memory):
                forms = [kept.read(modules, (k,), widest(entries[k], modules)) for k in (i, j)]
                x, y = (form.svd for form in forms)
                both = found[i, j], found[j, i]
                if len(modules) > 1:
                    norms = [form.norms for form in forms]
                    seeds = [module_seeds([entries[k]], modules, options.solver.seed) for k in (i, j)]
                    for one, way in zip(both, compare_shifted(x, y, meets, whole, memory, norms, seeds), strict=True):
                        one.add(*way)
                if unequal_ranks(x, y):
                    smaller = cut_to_smaller(x, y)
                    ways = compare_shifted(*smaller, meets, cut, memory, [torch.full_like(x.S[..., 0], torch.nan)] * 2)
                    for one, way in zip(both, ways, strict=True):
                        one.add_cut(modules, *way)
        advance(len(some))
    return found


def compare_shifted(
    x: LowRankSVD[Tensor],
    y: LowRankSVD[Tensor],
    meets: NDArray[np.intp],
    options: Options,
    memory: int,
    norms: Sequence[Tensor],
    seeds: Sequence[Tensor] = (),
) -> tuple[Way, Way]:
    """One adapter x on another, y, whose L modules change places, and back.

    Args:
        x: U (L, 1, m, k), S (L, 1, k), Vh (L, 1, k, n).
        y: the same with its own k.
        meets: which module of y each one of x meets, (n + 1, L).
        options: what is computed.
        memory: bytes for copies of y.
        norms: ‖τ‖ (L, 1) of either side where it is longer than S, else NaN.
        seeds: (L, 1) of either side, for a random start.
    """
    lengths = [whole_norms(side, norm) for side, norm in zip((x, y), norms, strict=True)]  # [L, 1]
    every = meets.shape[1] <= SQUARE * len(meets)
    norm = None if all(map(norms_unknown, norms)) else (lengths[0], lengths[1])
    compare = compare_every if every else compare_copies
    forward, backward = compare(x, y, meets, options, memory, norm, seeds)
    own, other = (np.square(length[:, 0].cpu().numpy()) for length in lengths)  # [L]
    return (forward, other[meets]), (backward, np.broadcast_to(own, meets.shape))


def compare_every(
    x: LowRankSVD[Tensor],
    y: LowRankSVD[Tensor],
    meets: NDArray[np.intp],
    options: Options,
    memory: int,
    norm: Norms,
    seeds: Sequence[Tensor],
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """``compare_shifted`` as L adapters of one module on L: more products, and no copies."""
    alone, other = (LowRankSVD(one.U[:, 0], one.S[:, 0], one.Vh[:, 0]) for one in (x, y))  # [L, m, k]
    seed = (seeds[0][:, 0], seeds[1][:, 0]) if options.solver.random else None
    ways = both_ways(alone, other, options, seed, None if norm is None else (norm[0][:, 0], norm[1][:, 0]))
    mine = np.arange(meets.shape[1])
    return (
        {name: array(values)[:, mine, meets] for name, values in ways[0].items()},
        {name: array(values)[:, meets, mine] for name, values in ways[1].items()},
    )


def compare_copies(
    x: LowRankSVD[Tensor],
    y: LowRankSVD[Tensor],
    meets: NDArray[np.intp],
    options: Options,
    memory: int,
    norm: Norms,
    seeds: Sequence[Tensor],
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """``compare_shifted`` as one adapter of L modules on one: no product too many."""
    step = max(1, memory // (FP32_BYTES * (y.U.numel() + y.Vh.numel())))
    parts = []
    for some in np.array_split(meets, -(-len(meets) // step)):
        at = torch.from_numpy(some).to(y.S.device)
        still = LowRankSVD(*(t.expand(len(some), *t.shape) for t in x))
        shifted = LowRankSVD(y.U.mT[at].mT, y.S[at], y.Vh[at])  # [shift, L, 1, m, k]
        seed, norms = (
            None if both is None else (both[0].expand(len(some), *both[0].shape), both[1][at])
            for both in (seeds if options.solver.random else None, norm)
        )
        parts.append(both_ways(still, shifted, options, seed, norms))
    forward, backward = (
        {name: np.concatenate([array(part[name]) for part in way], axis=1)[..., 0, 0] for name in options.metrics}
        for way in zip(*parts, strict=True)
    )
    return forward, backward


def by_modules(entries: Sequence[Entry], pairs: Iterable[Pair]) -> Iterator[tuple[list[tuple[str, ...]], list[Pair]]]:
    """Pairs that have the same modules in common, with those modules by kind and shape."""
    have = [frozenset((path, module.shape) for path, module in entry.modules.items()) for entry in entries]
    groups: dict[frozenset[tuple[str, tuple[int, int]]], list[tuple[str, ...]]] = {}
    alike: dict[frozenset[tuple[str, tuple[int, int]]], list[Pair]] = defaultdict(list)
    for i, j in pairs:
        shared = have[i] & have[j]
        if shared not in groups:
            groups[shared] = groups_of(entries[i], match_modules(entries[i], entries[j])[0])
        alike[shared].append((i, j))
    return ((groups[shared], some) for shared, some in alike.items())


def near_each_other(pairs: Sequence[Pair], entries: Sequence[Entry], modules: Sequence[str], memory: int) -> list[Pair]:
    """The pairs in tiles of adapters whose canonical forms the memory holds together."""
    shape = entries[pairs[0][0]].modules[modules[0]].shape
    rank = max(widest(entries[k], modules) for k in {k for pair in pairs for k in pair})
    tile = max(1, memory // (2 * len(modules) * form_bytes(rank, shape)))
    return sorted(pairs, key=lambda pair: (pair[0] // tile, pair[1] // tile, pair))


def widest(entry: Entry, modules: Sequence[str]) -> int:
    """Directions of the widest of an adapter's modules."""
    return max(entry.modules[path].rank for path in modules)
