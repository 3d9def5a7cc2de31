"""What was promised of speed, each target read off the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .results import OURS, Spread, by_case, limit_of, minima, ratio, spread
from .rows import Row

PAIRWISE = "pairwise square-4096 modules=1 N=256 m=4096 n=4096 r=8"
MANY_PAIRS = "pairwise square-1024 modules=1 N=1024 m=1024 n=1024 r=8"
MANY_MODULES = "pairwise square-1024 modules=64 N=8 m=1024 n=1024 r=8"
SPARSE_PAIRWISE = "pairwise λ=0.05 square-4096 modules=1 N=256 m=4096 n=4096 r=8"
LOWRANK_8, LOWRANK_64 = (f"lowrank_svd square-4096 N=256 m=4096 n=4096 r={r}" for r in (8, 64))
EXACT = "sparsify exact N=4000000 r=8"
ADAM = "sparsify adam 500 steps N=20000 r=8"
ALGORITHM_1 = "sparsify algorithm 1 square-1024 N=20000 m=1024 n=1024 r=8"


@dataclass(frozen=True)
class Target:
    """``value`` gives the figure's spread over the processes from the row, the other row if there is one, and all."""

    case: str
    what: str
    bound: float
    value: Callable[[Row, Row | None, Sequence[Row]], Spread | None]
    provider: str = OURS
    other: str = ""
    at_most: bool = False

    def reached(self, rows: Sequence[Row]) -> str:
        """``yes: 133 to 138``, ``**missed**: 3.8 to 6.1`` where one process is enough to miss it, ``not measured``."""
        ways = by_case(rows).get(self.case, {})
        row, other = ways.get(self.provider), ways.get(self.other)
        if row is None or (self.other and other is None):
            return "not measured"
        value = self.value(row, other, rows)
        if value is None:
            return "not measured"
        kept = value[1] <= self.bound if self.at_most else value[0] >= self.bound
        return f"{'yes' if kept else '**missed**'}: {spread(value)}"

    def wanted(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:,g}"


def times_as_long(row: Row, other: Row | None, rows: Sequence[Row]) -> Spread | None:
    """The other's time over this row's."""
    return ratio(other, row) if other else None


def over(row: Row, other: Row | None, rows: Sequence[Row]) -> Spread | None:
    """This row's time over the other's."""
    return ratio(row, other) if other else None


def share_of_matmul(row: Row, other: Row | None, rows: Sequence[Row]) -> Spread | None:
    limit = limit_of(rows, row.precision, row.threads)
    if limit is None:
        return None
    low, high = ratio(limit, row)
    return low * row.flop / limit.flop, high * row.flop / limit.flop


def million_pairs_a_second(row: Row, other: Row | None, rows: Sequence[Row]) -> Spread | None:
    rates = [(row.N or 0) / seconds / 1e6 for seconds in minima(row)]
    return min(rates), max(rates)


TARGETS = (
    Target(PAIRWISE, "share of torch's fp32 matmul rate", 0.9, share_of_matmul),
    Target(MANY_PAIRS, "the same", 0.8, share_of_matmul),
    Target(PAIRWISE, '"medium", times as fast as "highest"', 1.6, times_as_long, "ours/cpu medium", OURS),
    Target(MANY_MODULES, "times as fast as a Python loop with cached SVDs", 5, times_as_long, other="torch/loop"),
    Target(LOWRANK_8, "times as fast as torch's batched qr and svd", 8, times_as_long, other="torch/qr"),
    Target(LOWRANK_64, "the same", 2, times_as_long, other="torch/qr"),
    Target(EXACT, "million pairs a second", 20, million_pairs_a_second),
    Target(SPARSE_PAIRWISE, "times as long as λ = 0", 1.15, over, other="ours/cpu λ=0", at_most=True),
    Target(ADAM, "times as fast as torch.optim.Adam on the same d's", 3, times_as_long, other="torch/adam"),
    Target(
        ALGORITHM_1,
        "times as fast as torch.optim.Adam on the dense objective",
        10_000,
        times_as_long,
        other="torch/algorithm 1, r directions",
    ),
)
