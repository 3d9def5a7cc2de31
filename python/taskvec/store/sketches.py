"""Sketches of adapters: their factors between random matrices, small enough to compare millions of pairs.

A sketch of a module is (G U, S, H V), with G (s × m) and H (s × n) of independent N(0, 1/s), the same for all adapters:
itself a canonical form of m = n = s, but that its columns are orthonormal in expectation only. So the kernels that
compare adapters compare sketches, at 2s/(m + n) of the flop: u'ᵀ τ' v' is unbiased for uᵀ τ v, the cosine of two
sketches for that of the adapters, and of captured ``captured_estimate`` takes the bias away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskvec_kernels import LowRankSVD
from taskvec_kernels.seeding import normal

from .entry import Entry
from .factors import Factors, Form

SIZE = 48  # s of a store's sketches: docs/SCALE.md
MATRICES = 64  # random matrices that are kept

Floats = NDArray[np.floating]


def sketched(svd: LowRankSVD[Tensor], modules: Sequence[str], size: int = SIZE, seed: int = 0) -> LowRankSVD[Tensor]:
    """The sketch of L modules of N adapters, fp32.

    Args:
        svd: U (L, N, m, k), S (L, N, k), Vh (L, N, k, n), of any float dtype.
        modules: their L paths, which choose the random matrices.
        size: s.
        seed: of all random matrices.

    Returns:
        U (L, N, s, k), a transposed view of memory by direction, S as it is, Vh (L, N, k, s). The other adapters of the
        call change it by rounding only.

    Cost:
        2 s k (m + n) flop a module and adapter.
    """
    Ut, Vh = (torch.empty(*svd.S.shape, size, device=svd.S.device) for _ in "UV")  # [L, N, k, s]
    for row, path in enumerate(modules):
        for side, given, made in (("U", svd.U.mT, Ut), ("V", svd.Vh, Vh)):
            draws = random_matrix(path, side, size, given.shape[-1], seed).to(given.device)
            torch.matmul(given[row].float(), draws.mT, out=made[row])
    return LowRankSVD(Ut.mT, svd.S, Vh)


def sketched_arrays(
    modules: Sequence[str], svd: LowRankSVD[Tensor], *, size: int = SIZE, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """What a store keeps of ``sketched``, by direction: sketch_U (L, N, k, s) and sketch_V (L, N, k, s)."""
    with one_thread():
        sketch = sketched(svd, modules, size, seed)
    return {"sketch_U": sketch.U.mT.cpu().numpy(), "sketch_V": sketch.Vh.cpu().numpy()}


@contextmanager
def one_thread() -> Iterator[None]:
    """torch's products in the calling thread: several spin where they wait, and here other threads are at work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(MATRICES)
def random_matrix(path: str, side: str, size: int, length: int, seed: int) -> Tensor:
    """(size, length) of N(0, 1/size), fp32, from a hash of the arguments."""
    text = f"{seed}\0{path}\0{side}\0{size}\0{length}"
    start = int.from_bytes(sha256(text.encode()).digest()[:8], signed=True)
    draws: Tensor = normal(torch.tensor(start), size * length).view(size, length)
    found: Tensor = (draws / size**0.5).float()
    return found


def captured_estimate(
    captured: Floats, captured_out: Floats, captured_in: Floats, rank: Floats, size: int, kept: Floats | float = 1.0
) -> NDArray[np.float64]:
    """Captured without bias, from what two sketches of one module have; it may be negative.

    With c = r/s, of r directions of the source, sides have E[out'] = (1 + 1/s) out + κ c, and the block
    E[captured'] = (1 + 1/s)² captured + c (1 + 1/s) (out + in) + κ c² (docs/SCALE.md derives both), hence

        captured = (captured' − c (out' + in') + κ c²) / (1 + 1/s)².

    Args:
        captured: of the sketches; all broadcast.
        captured_out: one side alone.
        captured_in: the other.
        rank: r, directions of the source.
        size: s.
        kept: κ = ‖S‖²/‖τ‖² of the target, less than 1 where directions are left out.
    """
    chance = np.asarray(rank, np.float64) / size
    sides = np.add(captured_out, captured_in, dtype=np.float64)
    found: NDArray[np.float64] = (captured - chance * sides + kept * chance**2) / (1 + 1 / size) ** 2
    return found


@dataclass(frozen=True)
class Sketches:
    """Sketches of any factors, as factors: made when they are read."""

    factors: Factors
    size: int = SIZE
    seed: int = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.factors.entries

    def read(self, modules: tuple[str, ...], adapters: tuple[int, ...], rank: int) -> Form:
        form = self.factors.read(modules, adapters, rank)
        return Form(sketched(form.svd, modules, self.size, self.seed), form.norms)

    def whole(self, module: str, adapter: int) -> Tensor | None:
        """None: of a dense update the directions in use alone are sketched."""
        return None
