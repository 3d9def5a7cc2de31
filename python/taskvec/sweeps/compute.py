"""One block through the kernels: every source on every target, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import LowRankSVD, Solver, pairwise

from ..store.entry import Entry
from ..store.factors import Factors, Form
from .dense import exact_targets
from .options import Options
from .plan import Block, Bucket

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class BlockResult:
    """Results of a block of L modules, N sources and M targets, fp32, where they were computed; λ is always an axis.

    Attributes:
        forward: by metric, (λ, L, N, M): source→target; "spectra", when asked for, (λ, L, N, M, k).
        backward: the same for target→source, (λ, L, M, N); None for a bucket within itself.
        sources: S₁ of the sources, (L, N, k), zeros beyond an adapter's rank.
        targets: S₁ of the targets, (L, M, k).
        source_norms: ‖τ‖ of the sources, (L, N) fp64: longer than S₁ where directions of a dense update are left out.
        target_norms: of the targets, (L, M).
    """

    forward: dict[str, Tensor]
    backward: dict[str, Tensor] | None
    sources: Floats
    targets: Floats
    source_norms: NDArray[np.float64]
    target_norms: NDArray[np.float64]


def compute(block: Block, factors: Factors, options: Options) -> BlockResult:
    """Project every source of the block on every target and, where the two differ, every target on every source.

    The result depends on the contents of the block's adapters and on the options, on nothing else. All three arguments
    can be pickled where the adapters were read from files that the other process sees too.

    Cost:
        2 r² (m + n) flop an unordered pair and module, and reading both sides.
    """
    sources = read(factors, block.modules, block.sources)
    targets = sources if block.within else read(factors, block.modules, block.targets)
    x, y = sources.svd, targets.svd
    norms = [sources.norms, targets.norms]
    seed = seeds(block, factors.entries, options.solver)
    whole = [whole_norms(side, norm) for side, norm in zip((x, y), norms, strict=True)]
    forward, backward = both_ways(
        x, None if block.within else y, options, seed, known_norms(whole, norms, block.within)
    )
    there = (seed, seed) if isinstance(seed, Tensor) else seed
    back = None if there is None else (there[1], there[0])
    ways = ((forward, x, block.targets, norms[1], there), (backward, y, block.sources, norms[0], back))
    for values, source, target, norm, own in ways:
        if values and not norms_unknown(norm):
            exact_targets(values, source, whole_of(factors, block.modules, target), norm, options, own)
    lengths = (norm.cpu().numpy() for norm in whole)
    return BlockResult(forward, backward or None, array(x.S), array(y.S), *lengths)


def both_ways(
    x: LowRankSVD[Tensor],
    y: LowRankSVD[Tensor] | None,
    options: Options,
    seed: Tensor | tuple[Tensor, Tensor] | None,
    norm: Tensor | tuple[Tensor, Tensor] | None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """``pairwise`` with these options: x→y and y→x by metric; without y the second is empty."""
    forward, backward = pairwise(
        x,
        y,
        metrics=options.metrics,
        spectra=options.spectra,
        precision=options.precision,
        p=options.p,
        solver=options.solver,
        seed=seed,
        norm=norm,
        backend=options.backend,
    )
    return forward, backward or {}


def whole_norms(x: LowRankSVD[Tensor], norm: Tensor) -> Tensor:
    """‖τ‖ (L, N), fp64: ‖S₁‖, or ``norm`` where that is known."""
    return torch.fmax(torch.linalg.vector_norm(x.S, dim=-1, dtype=torch.float64), norm)


def known_norms(
    whole: Sequence[Tensor], norms: Sequence[Tensor], within: bool
) -> Tensor | tuple[Tensor, Tensor] | None:
    """``whole`` of both sides, as ``pairwise`` takes it; None where no directions were left out."""
    if all(map(norms_unknown, norms)):
        return None
    return whole[0] if within else (whole[0], whole[1])


def norms_unknown(norm: Tensor) -> bool:
    """Whether every update is whole in its canonical form."""
    return bool(norm.isnan().all())


def read(factors: Factors, modules: tuple[str, ...], bucket: Bucket) -> Form:
    """The forms of a bucket's adapters."""
    return factors.read(modules, bucket.adapters, bucket.rank)


def whole_of(factors: Factors, modules: tuple[str, ...], bucket: Bucket) -> Callable[[int, int], Tensor | None]:
    """The dense τ of a module and an adapter of the bucket, by their places, where it is at hand."""
    return lambda row, column: factors.whole(modules[row], bucket.adapters[column])


def seeds(block: Block, entries: Sequence[Entry], solver: Solver) -> Tensor | tuple[Tensor, Tensor] | None:
    """Of random starts: one for each module and adapter, (L, N), or one such tensor for either side; None without."""
    if not solver.random:
        return None
    sources, targets = (
        module_seeds([entries[i] for i in side.adapters], block.modules, solver.seed)
        for side in (block.sources, block.targets)
    )
    return sources if block.within else (sources, targets)


def module_seeds(entries: Sequence[Entry], modules: Sequence[str], seed: int) -> Tensor:
    """One seed for each module and adapter, int64 (L, N): of the contents, not of names or the rest of a zoo."""
    texts = [[f"{seed}\0{path}\0{entry.digest}" for entry in entries] for path in modules]
    numbers = [[int.from_bytes(sha256(text.encode()).digest()[:8], signed=True) for text in row] for row in texts]
    return torch.tensor(numbers, dtype=torch.int64)


def array(values: Tensor) -> Floats:
    found: Floats = values.cpu().numpy()
    return found
