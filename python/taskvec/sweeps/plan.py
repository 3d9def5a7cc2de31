"""From adapters to blocks: which modules, which adapters and which ranks go to the kernels in one call.

Modules of equal shape that the same adapters have with the same ranks form a batch; one that adapters have in several
shapes is in several batches, and pairs across them are not compared. In a batch, adapters are put
together by rank, rounded up to a power of two, so that one of r = 256 does not make a thousand of r = 8 slow; inside
such a bucket they are padded with zero directions. A block is a bucket against a bucket.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..results.projection import NotCompared
from ..store.entry import FP32_BYTES, MEMORY_BYTES, Entry, form_bytes
from ..zoo import module_paths


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
class Batch:
    """Modules of one shape whose results are written together."""

    modules: tuple[str, ...]
    shape: tuple[int, int]  # (m, n)
    buckets: tuple[Bucket, ...]

    @property
    def adapters(self) -> tuple[int, ...]:
        """Positions in the zoo, ascending."""
        return tuple(sorted(i for bucket in self.buckets for i in bucket.adapters))

    @property
    def rank(self) -> int:
        """Directions of the widest bucket."""
        return max(bucket.rank for bucket in self.buckets)

    def blocks(self) -> Iterator[Block]:
        """Every unordered pair of buckets; those with one first bucket follow each other."""
        for i, sources in enumerate(self.buckets):
            for targets in self.buckets[i:]:
                yield Block(self.modules, sources, targets)


@dataclass(frozen=True)
class Plan:
    """Every module of a zoo, and the batches that divide them."""

    modules: tuple[str, ...]  # in natural order
    batches: tuple[Batch, ...]

    @property
    def components(self) -> int:
        """Directions of the widest adapter."""
        return max((batch.rank for batch in self.batches), default=1)

    @property
    def pairs(self) -> int:
        """Ordered pairs of a module."""
        return sum(len(batch.modules) * len(batch.adapters) ** 2 for batch in self.batches)


def plan_sweep(entries: Sequence[Entry], *, results: int = 12, memory: int = MEMORY_BYTES) -> Plan:
    """Divide every module of a zoo into batches.

    Args:
        entries: the zoo; names differ. A module of several shapes is in a batch for each of them.
        results: N × N fp32 results that are kept for each module.
        memory: bytes; a batch is one module at least, and a bucket one adapter.
    """
    modules = tuple(module_paths(entries))
    alike: dict[tuple[tuple[int, int], tuple[tuple[int, int], ...]], list[str]] = defaultdict(list)
    for path in modules:
        ranks: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for i, entry in enumerate(entries):
            if module := entry.modules.get(path):
                ranks[module.shape].append((i, module.rank))
        for shape, having in ranks.items():
            alike[shape, tuple(having)].append(path)
    batches = (
        batch for (shape, having), paths in alike.items() for batch in split(paths, shape, having, results, memory)
    )
    return Plan(modules, tuple(batches))


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


def split(
    paths: Sequence[str], shape: tuple[int, int], ranks: tuple[tuple[int, int], ...], results: int, memory: int
) -> Iterator[Batch]:
    """Batches of as many of the modules as the memory holds, in buckets that it holds two of."""
    buckets = buckets_by_rank(ranks)
    forms = sum(len(bucket.adapters) * form_bytes(bucket.rank, shape) for bucket in buckets)
    if forms > memory:
        buckets = [
            piece for bucket in buckets for piece in cut(bucket, max(1, memory // (2 * form_bytes(bucket.rank, shape))))
        ]
    # results are there twice while they are copied into place
    together = max(1, memory // (forms + 2 * results * len(ranks) ** 2 * FP32_BYTES))
    for start in range(0, len(paths), together):
        yield Batch(tuple(paths[start : start + together]), shape, tuple(buckets))


def buckets_by_rank(ranks: tuple[tuple[int, int], ...]) -> list[Bucket]:
    """One bucket for the ranks up to each power of two."""
    members: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for i, rank in ranks:
        members[(rank - 1).bit_length()].append((i, rank))
    return [Bucket(tuple(i for i, _ in some), max(rank for _, rank in some)) for _, some in sorted(members.items())]


def cut(bucket: Bucket, size: int) -> list[Bucket]:
    return [Bucket(bucket.adapters[i : i + size], bucket.rank) for i in range(0, len(bucket.adapters), size)]
