"""Batches hold every module and adapter once, whatever the ranks, within the memory they are given."""

from __future__ import annotations

import pytest

from taskvec.adapters import Adapter
from taskvec.errors import TaskvecError
from taskvec.store.entry import FP32_BYTES, entry_of, form_bytes
from taskvec.sweeps.plan import Plan, plan_pair, plan_sweep
from taskvec.zoo import check, module_paths

SHAPE = (64, 48)


def spec(rank: int, modules: int = 3) -> dict[str, tuple[int, int, int]]:
    return {f"h.{layer}.q": (*SHAPE, rank) for layer in range(modules)}


def plan_zoo(zoo: list[Adapter], **options: int) -> Plan:
    return plan_sweep([entry_of(adapter) for adapter in zoo], **options)


def test_equal_adapters_make_one_batch_of_one_block(adapter) -> None:
    plan = plan_zoo([adapter(name, spec(4)) for name in "abc"])
    (batch,) = plan.batches
    assert plan.modules == batch.modules == ("h.0.q", "h.1.q", "h.2.q")
    assert (batch.shape, batch.adapters, batch.rank) == (SHAPE, (0, 1, 2), 4)
    (block,) = batch.blocks()
    assert block.within and (block.sources.adapters, block.sources.rank) == ((0, 1, 2), 4)
    assert plan.pairs == block.pairs == 3 * 9 and plan.components == 4


def test_ranks_are_put_together_up_to_powers_of_two(adapter) -> None:
    ranks = [8, 1, 5, 48, 2, 7, 3]
    (batch,) = plan_zoo([adapter(f"r{i}", spec(rank)) for i, rank in enumerate(ranks)]).batches
    assert [(bucket.adapters, bucket.rank) for bucket in batch.buckets] == [
        ((1,), 1), ((4,), 2), ((6,), 3), ((0, 2, 5), 8), ((3,), 48),
    ]  # fmt: skip
    blocks = list(batch.blocks())
    assert len(blocks) == len(set(blocks)) == 5 * 6 // 2
    assert sum(block.pairs for block in blocks) == 3 * 7**2


def test_a_rank_above_the_shape_counts_as_the_shape(adapter) -> None:
    (batch,) = plan_zoo([adapter("a", {"h.0.q": (2, 6, 4)})]).batches
    assert batch.buckets[0].rank == 2


def test_modules_are_divided_by_shape_participants_and_ranks(adapter) -> None:
    zoo = [
        adapter("all", spec(4) | {"h.0.v": (8, 48, 4), "h.0.o": (8, 48, 4)}),
        adapter("first", spec(4, modules=1)),
        adapter("mixed", {"h.0.v": (8, 48, 2)}),
    ]
    batches = {batch.modules: batch.adapters for batch in plan_zoo(zoo).batches}
    assert batches == {("h.0.q",): (0, 1), ("h.1.q", "h.2.q"): (0,), ("h.0.v",): (0, 2), ("h.0.o",): (0,)}


@pytest.mark.parametrize("memory", [1, 30_000, 100_000, 10**6, 10**9])
def test_memory_bounds_a_batch_and_nothing_is_lost(adapter, memory: int) -> None:
    zoo = [adapter(f"{i}", spec(rank, modules=5)) for i, rank in enumerate([8] * 9 + [2] * 4)]
    batches = plan_zoo(zoo, results=3, memory=memory).batches
    assert sorted(path for batch in batches for path in batch.modules) == sorted(spec(1, modules=5))
    for batch in batches:
        assert batch.adapters == tuple(range(13))
        forms = [len(bucket.adapters) * form_bytes(bucket.rank, SHAPE) for bucket in batch.buckets]
        needed = len(batch.modules) * (sum(forms) + 2 * 3 * 13**2 * FP32_BYTES)
        assert needed <= memory or len(batch.modules) == 1
        if sum(forms) <= memory:
            assert len(batch.buckets) == 2
        else:
            assert all(
                size <= memory // 2 or len(bucket.adapters) == 1
                for size, bucket in zip(forms, batch.buckets, strict=True)
            )


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


def test_a_module_of_two_shapes_is_in_a_batch_for_each(adapter) -> None:
    plan = plan_zoo([adapter("a", spec(2)), adapter("b", spec(2) | {"h.1.q": (48, 64, 2)}), adapter("c", spec(2))])
    found = {(batch.modules, batch.shape): batch.adapters for batch in plan.batches}
    assert found == {
        (("h.0.q", "h.2.q"), SHAPE): (0, 1, 2),
        (("h.1.q",), SHAPE): (0, 2),
        (("h.1.q",), (48, 64)): (1,),
    }
