"""From adapters to units and blocks: what is written together, and what goes to the kernels in one call.

A result is cut into units: some modules, a range of sources and a range of targets, both directions at once. Where they
are cut depends on positions alone, so that one more adapter leaves the units of the others as they are. Inside a unit,
modules of equal shape that the same adapters have with the same ranks form a batch; one that adapters have in several
shapes is in several batches, and pairs across them are not compared. In a batch, adapters are put together by rank,
rounded up to a power of two, so that one of r = 256 does not make a thousand of r = 8 slow; inside such a bucket they
are padded with zero directions. A block is a bucket against a bucket.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from ..results.projection import NotCompared
from ..store.entry import FP32_BYTES, MEMORY_BYTES, Entry, form_bytes
from ..zoo import module_paths

Having = tuple[tuple[int, int], ...]  # adapters by position, with their ranks
Shape = tuple[int, int]

UNIT_BYTES = 256 * 2**20  # that the results of a unit may need while they are computed
MOST_MODULES = 64  # of a unit
AT_WORK = 2  # units of which a process has results: one is computed while one is written
# adapters of a zoo, at most; along the sides of a chunk and of a unit: some forty units, so that a kill costs little
SIDES = ((64, 64, 64), (256, 64, 64), (2_000, 128, 128), (4_000, 256, 256), (20_000, 256, 512), (1 << 62, 512, 1024))
PIECES = 4  # of the memory: two blocks are at work, the rest is kept


@dataclass(frozen=True)
class Bucket:
    """Adapters of similar rank, by position in the zoo, padded to ``rank`` directions."""

    adapters: tuple[int, ...]
    rank: int


@dataclass(frozen=True)
class Block:
    """The unit of work: some modules of every source and every target, both directions at once."""

    modules: tuple[str, ...]
    sources: Bucket
    targets: Bucket

    @property
    def within(self) -> bool:
        """Whether a bucket is compared with itself."""
        return self.sources == self.targets

    @property
    def pairs(self) -> int:
        """Ordered pairs of a module."""
        there = len(self.modules) * len(self.sources.adapters) * len(self.targets.adapters)
        return there if self.within else 2 * there


@dataclass(frozen=True)
class Unit:
    """What is computed and written as one: some modules of a range of sources and one of targets, both directions.

    ``listed``: int32 (P, 2) of the pairs that are computed, where it is not all; each from source to target.
    """

    group: int
    modules: range  # positions
    sources: range
    targets: range
    row: int  # which range of adapters the sources are
    column: int
    listed: bytes = b""

    @property
    def name(self) -> str:
        return f"{self.group}/{self.row}-{self.column}"

    @property
    def diagonal(self) -> bool:
        """Whether adapters are compared with each other."""
        return self.row == self.column

    @property
    def pairs(self) -> int:
        """Ordered pairs of adapters and modules."""
        if self.listed:
            return 2 * len(self.modules) * len(self.listed) // 8
        there = len(self.modules) * len(self.sources) * len(self.targets)
        return there if self.diagonal else 2 * there


@dataclass(frozen=True)
class Plan:
    """What a result holds, in its order, and where it is cut.

    Attributes:
        entries: the adapters, along source and target.
        modules: their paths.
        shapes: of the modules; of one that adapters have in several, the first one's.
        chunk: adapters along the sides of a chunk.
        side: along those of a unit.
        group: modules of a unit; 0: all.
    """

    entries: tuple[Entry, ...]
    modules: tuple[str, ...]
    shapes: tuple[Shape, ...]
    chunk: int
    side: int
    group: int

    @property
    def components(self) -> int:
        """Directions of the widest adapter."""
        return max((module.rank for entry in self.entries for module in entry.modules.values()), default=1)

    def units(self) -> Iterator[Unit]:
        """All of them; those that share sources follow each other, forth and back, so that targets are met again."""
        N, L = len(self.entries), len(self.modules)
        group = self.group or max(1, L)
        adapters = [range(start, min(start + self.side, N)) for start in range(0, N, self.side)]
        for g, first in enumerate(range(0, L, group)):
            modules = range(first, min(first + group, L))
            for i, sources in enumerate(adapters):
                columns = range(i, len(adapters))
                for j in columns if i % 2 == 0 else reversed(columns):
                    yield Unit(g, modules, sources, adapters[j], i, j)

    @property
    def pairs(self) -> int:
        """Ordered pairs of adapters and modules."""
        return len(self.modules) * len(self.entries) ** 2

    def results_bytes(self, pair_bytes: int) -> int:
        """Memory of the results of a unit; ``pair_bytes`` as ``plan_sweep`` takes it."""
        return pair_bytes * min(self.side, len(self.entries)) ** 2 * max(1, self.group)

    @cached_property
    def flops(self) -> int:
        """Operations of all units: 2 r² (m + n) for each unordered pair that has a module in one shape."""
        total = 0
        for path in self.modules:
            for (m, n), some in having(self.entries, path, range(len(self.entries))).items():
                total += (sum(rank for _, rank in some) ** 2 + sum(rank**2 for _, rank in some)) * (m + n)
        return total


def plan_sweep(
    entries: Sequence[Entry], pair_bytes: int, before: Plan | None = None, *, all_modules: bool = False
) -> Plan:
    """Where a result of these adapters is cut.

    Args:
        entries: the zoo, in the order of the result.
        pair_bytes: memory of a unit for each pair of its adapters; of one module, or of all.
        before: the plan of a result that has the first of the adapters; what is new comes after what it has.
        all_modules: a unit holds every module, because they are added up.
    """
    shapes: dict[str, Shape] = dict(zip(before.modules, before.shapes, strict=True)) if before else {}
    of_any = {path: module.shape for entry in reversed(entries) for path, module in entry.modules.items()}
    shapes |= {path: of_any[path] for path in module_paths(entries) if path not in shapes}
    modules = tuple(shapes), tuple(shapes.values())
    if before:
        return Plan(tuple(entries), *modules, before.chunk, before.side, before.group)
    chunk, side = next((chunk, side) for most, chunk, side in SIDES if len(entries) <= most)
    while side > chunk and pair_bytes * side**2 > UNIT_BYTES:
        side //= 2
    several = max(1, UNIT_BYTES // (4 * pair_bytes * side**2))
    group = min(MOST_MODULES, 1 << several.bit_length() - 1)  # a power of two
    return Plan(tuple(entries), *modules, chunk, side, 0 if all_modules else group)


def plan_pair(a: Entry, b: Entry, *, memory: int = MEMORY_BYTES) -> tuple[list[Block], list[NotCompared]]:
    """The blocks that compare a (position 0) with b (position 1), and the modules that cannot be compared."""
    shared, skipped = match_modules(a, b)
    alike: dict[tuple[tuple[int, int], int, int], list[str]] = defaultdict(list)
    for path in shared:
        ranks = a.modules[path].rank, b.modules[path].rank
        alike[a.modules[path].shape, *ranks].append(path)
    blocks = []
    for (shape, rank_a, rank_b), paths in alike.items():
        step = max(1, memory // form_bytes(rank_a + rank_b, shape))
        for start in range(0, len(paths), step):
            some = tuple(paths[start : start + step])
            blocks.append(Block(some, Bucket((0,), rank_a), Bucket((1,), rank_b)))
    return blocks, skipped


def match_modules(a: Entry, b: Entry) -> tuple[list[str], list[NotCompared]]:
    """Paths of the modules that both have in one shape, and the others with the reason."""
    shared: list[str] = []
    skipped: list[NotCompared] = []
    for path in module_paths([a, b]):
        if path not in a.modules or path not in b.modules:
            skipped.append(NotCompared(path, f"only in {(a if path in a.modules else b).name}"))
        elif a.modules[path].shape != b.modules[path].shape:
            shapes = [f"{m} × {n} in {entry.name}" for entry in (a, b) for m, n in [entry.modules[path].shape]]
            skipped.append(NotCompared(path, " but ".join(shapes)))
        else:
            shared.append(path)
    return shared, skipped


def blocks_of(
    entries: Sequence[Entry],
    modules: Sequence[str],
    sources: Sequence[int],
    targets: Sequence[int],
    *,
    results: int = 12,
    memory: int = MEMORY_BYTES,
) -> Iterator[Block]:
    """The blocks that compare every source with every target: with each other, where the two are the same adapters.

    Args:
        entries: the zoo.
        modules: paths.
        sources: positions in the zoo.
        targets: others, or the same.
        results: fp32 results of an ordered pair and module.
        memory: bytes for the canonical forms and the results of a block, which is one module of one pair at least;
            one of several modules takes a quarter.
    """
    within = list(sources) == list(targets)
    alike: dict[tuple[Shape, Having, Having], list[str]] = defaultdict(list)
    for path in modules:
        there = having(entries, path, sources)
        for shape, some in (there if within else having(entries, path, targets)).items():
            if shape in there:
                alike[shape, there[shape], some].append(path)
    for (shape, some, others), paths in alike.items():
        sides = [fitting(ranks, shape, memory) for ranks in ((some,) if within else (some, others))]
        forms = sum(len(bucket.adapters) * form_bytes(bucket.rank, shape) for side in sides for bucket in side)
        most = max(1, memory // PIECES // (forms + 2 * results * len(some) * len(others) * FP32_BYTES))
        together = ceil(len(paths) / ceil(len(paths) / most))  # pieces of a size
        for start in range(0, len(paths), together):
            batch = tuple(paths[start : start + together])
            for i, bucket in enumerate(sides[0]):
                for other in sides[-1][i if within else 0 :]:
                    yield Block(batch, bucket, other)


def having(entries: Sequence[Entry], path: str, adapters: Sequence[int]) -> dict[Shape, Having]:
    """Which of the adapters have a module, by its shape."""
    found: dict[Shape, list[tuple[int, int]]] = defaultdict(list)
    for i in adapters:
        if module := entries[i].modules.get(path):
            found[module.shape].append((i, module.rank))
    return {shape: tuple(some) for shape, some in found.items()}


def fitting(ranks: Having, shape: Shape, memory: int) -> list[Bucket]:
    """Buckets by rank, of which the memory holds two."""
    buckets = buckets_by_rank(ranks)
    if sum(len(bucket.adapters) * form_bytes(bucket.rank, shape) for bucket in buckets) <= memory // 2:
        return buckets
    return [
        piece for bucket in buckets for piece in cut(bucket, max(1, memory // (2 * form_bytes(bucket.rank, shape))))
    ]


def buckets_by_rank(ranks: tuple[tuple[int, int], ...]) -> list[Bucket]:
    """One bucket for the ranks up to each power of two."""
    members: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for i, rank in ranks:
        members[(rank - 1).bit_length()].append((i, rank))
    return [Bucket(tuple(i for i, _ in some), max(rank for _, rank in some)) for _, some in sorted(members.items())]


def cut(bucket: Bucket, size: int) -> list[Bucket]:
    return [Bucket(bucket.adapters[i : i + size], bucket.rank) for i in range(0, len(bucket.adapters), size)]
