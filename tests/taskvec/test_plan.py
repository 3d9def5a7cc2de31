"""Units and blocks hold every pair once, whatever the ranks, within the memory they are given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from taskvec.adapters import Adapter
from taskvec.errors import TaskvecError
from taskvec.store.entry import Entry, entry_of, form_bytes
from taskvec.sweeps.plan import UNIT_BYTES, Block, blocks_of, plan_pair, plan_sweep
from taskvec.zoo import check, module_paths

SHAPE = (64, 48)


def spec(rank: int, modules: int = 3) -> dict[str, tuple[int, int, int]]:
    return {f"h.{layer}.q": (*SHAPE, rank) for layer in range(modules)}


def entries(zoo: list[Adapter]) -> list[Entry]:
    return [entry_of(adapter) for adapter in zoo]


def blocks(zoo: list[Adapter], **options: int) -> list[Block]:
    """Of every adapter of a zoo with every other."""
    return list(blocks_of(entries(zoo), module_paths(zoo), range(len(zoo)), range(len(zoo)), **options))


def pairs_of(found: Iterable[Block]) -> Counter[tuple[str, int, int]]:
    """Module, source and target of every ordered pair."""
    pairs: Counter[tuple[str, int, int]] = Counter()
    for block in found:
        for path in block.modules:
            ways = [(block.sources, block.targets)] + ([] if block.within else [(block.targets, block.sources)])
            pairs.update((path, i, j) for one, other in ways for i in one.adapters for j in other.adapters)
    return pairs


def test_equal_adapters_make_one_block(adapter) -> None:
    (block,) = blocks([adapter(name, spec(4)) for name in "abc"])
    assert block.modules == ("h.0.q", "h.1.q", "h.2.q")
    assert block.within and (block.sources.adapters, block.sources.rank) == ((0, 1, 2), 4)
    assert block.pairs == 3 * 9


def test_ranks_are_put_together_up_to_powers_of_two(adapter) -> None:
    ranks = [8, 1, 5, 48, 2, 7, 3]
    found = blocks([adapter(f"r{i}", spec(rank)) for i, rank in enumerate(ranks)])
    assert [(block.sources.adapters, block.sources.rank) for block in found if block.within] == [
        ((1,), 1), ((4,), 2), ((6,), 3), ((0, 2, 5), 8), ((3,), 48),
    ]  # fmt: skip
    assert len(found) == len(set(found)) == 5 * 6 // 2
    assert pairs_of(found) == {(path, i, j): 1 for path in spec(1) for i in range(7) for j in range(7)}


def test_a_rank_above_the_shape_counts_as_the_shape(adapter) -> None:
    (block,) = blocks([adapter("a", {"h.0.q": (2, 6, 4)})])
    assert block.sources.rank == 2


def test_modules_are_divided_by_shape_participants_and_ranks(adapter) -> None:
    zoo = [
        adapter("all", spec(4) | {"h.0.v": (8, 48, 4), "h.0.o": (8, 48, 4)}),
        adapter("first", spec(4, modules=1)),
        adapter("mixed", {"h.0.v": (8, 48, 2)}),
    ]
    found = {block.modules: block.sources.adapters for block in blocks(zoo) if block.within}
    assert found == {("h.0.q",): (0, 1), ("h.1.q", "h.2.q"): (0,), ("h.0.v",): (0,), ("h.0.o",): (0,)}
    assert sum(pairs_of(blocks(zoo)).values()) == 4 + 2 + 4 + 1


@pytest.mark.parametrize("memory", [1, 30_000, 100_000, 10**6, 10**9])
def test_memory_bounds_a_block_and_nothing_is_lost(adapter, memory: int) -> None:
    zoo = [adapter(f"{i}", spec(rank, modules=5)) for i, rank in enumerate([8] * 9 + [2] * 4)]
    found = blocks(zoo, results=3, memory=memory)
    assert pairs_of(found) == {(path, i, j): 1 for path in spec(1, modules=5) for i in range(13) for j in range(13)}
    for block in found:
        sides = {block.sources, block.targets}
        needed = len(block.modules) * sum(len(side.adapters) * form_bytes(side.rank, SHAPE) for side in sides)
        alone = len(block.modules) == 1 and any(len(side.adapters) == 1 for side in sides)
        assert needed <= memory or alone


def test_sources_and_targets_that_differ(adapter) -> None:
    zoo = [adapter(f"{i}", spec(rank)) for i, rank in enumerate([8, 1, 5])]
    found = list(blocks_of(entries(zoo), module_paths(zoo), [0, 2], [1]))
    assert pairs_of(found) == {(path, *way): 1 for path in spec(1) for way in ((0, 1), (1, 0), (2, 1), (1, 2))}
    assert not any(block.within for block in found)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 130, 300])
def test_units_hold_every_pair_once_whatever_is_added(adapter, count: int) -> None:
    one = entry_of(adapter("a", spec(2)))
    plan = plan_sweep([one] * count, 8)
    found: Counter[tuple[int, int, int]] = Counter()
    for unit in plan.units():
        assert unit.sources.start % plan.chunk == unit.targets.start % plan.chunk == 0
        for way in {(unit.sources, unit.targets), (unit.targets, unit.sources)}:
            found.update((module, i, j) for module in unit.modules for i in way[0] for j in way[1])
        assert unit.pairs == len(unit.modules) * len(unit.sources) * len(unit.targets) * (2 - unit.diagonal)
    assert set(found.values()) == {1} and len(found) == 3 * count**2 == plan.pairs
    more = plan_sweep([one] * (count + 1), 8, plan)
    names = {unit.name: (unit.modules, unit.row, unit.column) for unit in plan.units()}
    assert names.items() <= {unit.name: (unit.modules, unit.row, unit.column) for unit in more.units()}.items()


def test_memory_bounds_a_unit(adapter) -> None:
    one = entry_of(adapter("a", spec(2)))
    for pair_bytes in (8, 144, 5_000, 100_000):
        for count in (10, 100, 1000):
            plan = plan_sweep([one] * count, pair_bytes)
            assert plan.side % plan.chunk == 0 and plan.group >= 1
            assert pair_bytes * plan.side**2 <= UNIT_BYTES or plan.side == plan.chunk
            assert plan_sweep([one] * count, pair_bytes, all_modules=True).group == 0


def test_new_modules_come_after_the_old_ones(adapter) -> None:
    old = plan_sweep(entries([adapter("a", spec(2))]), 8)
    new = plan_sweep(entries([adapter("a", spec(2)), adapter("b", spec(2) | {"h.0.a": (4, 4, 1)})]), 8, old)
    assert new.modules == (*old.modules, "h.0.a") and new.shapes == (SHAPE, SHAPE, SHAPE, (4, 4))


def test_a_pair_is_one_block_for_each_shape_and_rank(adapter) -> None:
    a = adapter("a", {"h.0.q": (8, 6, 2), "h.1.q": (8, 6, 2), "h.2.q": (8, 6, 3), "h.3.q": (6, 8, 2), "x": (4, 4, 1)})
    b = adapter("b", {"h.0.q": (8, 6, 4), "h.1.q": (8, 6, 4), "h.2.q": (8, 6, 4), "h.3.q": (8, 6, 2)})
    blocks, skipped = plan_pair(entry_of(a), entry_of(b))
    assert [(block.modules, block.sources.rank, block.targets.rank) for block in blocks] == [
        (("h.0.q", "h.1.q"), 2, 4), (("h.2.q",), 3, 4),
    ]  # fmt: skip
    assert all((block.sources.adapters, block.targets.adapters) == ((0,), (1,)) for block in blocks)
    assert [item.module for item in skipped] == ["h.3.q", "x"]
    assert [block.modules for block in plan_pair(entry_of(a), entry_of(b), memory=1)[0]] == [
        ("h.0.q",),
        ("h.1.q",),
        ("h.2.q",),
    ]


def test_module_paths_are_in_natural_order_for_any_order_of_adapters(adapter) -> None:
    one, other = (
        adapter("a", {"h.10.q": (2, 2, 1), "h.2.q": (2, 2, 1)}),
        adapter("b", {"h.9.q": (2, 2, 1), "wte": (2, 2, 1)}),
    )
    assert module_paths([one, other]) == module_paths([other, one]) == ["h.2.q", "h.9.q", "h.10.q", "wte"]


@pytest.mark.parametrize(
    ("names", "specs", "words"),
    [
        ([], [], ["no adapters"]),
        (["a", "a"], [spec(1), spec(1)], ["two adapters", "'a'"]),
    ],
)
def test_what_cannot_be_compared_is_one_clear_line(adapter, names, specs, words) -> None:
    with pytest.raises(TaskvecError) as error:
        check([adapter(name, given) for name, given in zip(names, specs, strict=True)])
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


def test_a_module_of_two_shapes_is_compared_within_each(adapter) -> None:
    zoo = [adapter("a", spec(2)), adapter("b", spec(2) | {"h.1.q": (48, 64, 2)}), adapter("c", spec(2))]
    assert {(block.modules, block.sources.adapters) for block in blocks(zoo)} == {
        (("h.0.q", "h.2.q"), (0, 1, 2)),
        (("h.1.q",), (0, 2)),
        (("h.1.q",), (1,)),
    }
