"""Groups hold every module and adapter once, whatever the ranks, within the memory they are given."""

from __future__ import annotations

import pytest
import torch

from taskvec.canonical import canonical_forms
from taskvec.errors import TaskvecError
from taskvec.grouping import FLOAT, form_bytes, group_modules, module_paths

SHAPE = (64, 48)


def spec(rank: int, modules: int = 3) -> dict[str, tuple[int, int, int]]:
    return {f"h.{layer}.q": (*SHAPE, rank) for layer in range(modules)}


def test_equal_adapters_make_one_group_of_one_part(adapter) -> None:
    (group,) = group_modules([adapter(name, spec(4)) for name in "abc"])
    assert group.modules == ("h.0.q", "h.1.q", "h.2.q")
    assert (group.shape, group.adapters, group.resident) == (SHAPE, (0, 1, 2), True)
    assert [(part.adapters, part.rank) for part in group.parts] == [((0, 1, 2), 4)]


def test_ranks_are_put_together_up_to_powers_of_two(adapter) -> None:
    ranks = [8, 1, 5, 48, 2, 7, 3]
    (group,) = group_modules([adapter(f"r{i}", spec(rank)) for i, rank in enumerate(ranks)])
    assert [(part.adapters, part.rank) for part in group.parts] == [
        ((1,), 1), ((4,), 2), ((6,), 3), ((0, 2, 5), 8), ((3,), 48),
    ]  # fmt: skip


def test_a_rank_above_the_shape_counts_as_the_shape(adapter) -> None:
    (group,) = group_modules([adapter("a", {"h.0.q": (2, 6, 4)})])
    assert group.parts[0].rank == 2


def test_modules_are_divided_by_shape_participants_and_ranks(adapter) -> None:
    zoo = [
        adapter("all", spec(4) | {"h.0.v": (8, 48, 4), "h.0.o": (8, 48, 4)}),
        adapter("first", spec(4, modules=1)),
        adapter("mixed", {"h.0.v": (8, 48, 2)}),
    ]
    groups = {group.modules: group.adapters for group in group_modules(zoo)}
    assert groups == {("h.0.q",): (0, 1), ("h.1.q", "h.2.q"): (0,), ("h.0.v",): (0, 2), ("h.0.o",): (0,)}


@pytest.mark.parametrize("memory", [1, 30_000, 100_000, 10**6, 10**9])
def test_memory_bounds_a_group_and_nothing_is_lost(adapter, memory: int) -> None:
    zoo = [adapter(f"{i}", spec(rank, modules=5)) for i, rank in enumerate([8] * 9 + [2] * 4)]
    groups = group_modules(zoo, results=3, memory=memory)
    assert sorted(path for group in groups for path in group.modules) == sorted(spec(1, modules=5))
    for group in groups:
        assert sorted(i for part in group.parts for i in part.adapters) == list(range(13))
        forms = [len(part.adapters) * form_bytes(part.rank, SHAPE) for part in group.parts]
        needed = len(group.modules) * (sum(forms) + 2 * 3 * 13**2 * FLOAT)
        assert needed <= memory or len(group.modules) == 1
        assert group.resident == (sum(forms) <= memory)
        if not group.resident:
            assert all(
                size <= memory // 2 or len(part.adapters) == 1 for size, part in zip(forms, group.parts, strict=True)
            )


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
        (
            ["a", "b"],
            [spec(1), {"h.1.q": (48, 64, 1)}],
            ["b: module h.1.q", "two shapes", "48 × 64", "64 × 48 as in a", "leave"],
        ),
    ],
)
def test_what_cannot_be_compared_is_one_clear_line(adapter, names, specs, words) -> None:
    with pytest.raises(TaskvecError) as error:
        group_modules([adapter(name, given) for name, given in zip(names, specs, strict=True)])
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


def test_canonical_forms_give_the_task_vectors_back(adapter) -> None:
    """Mixed ranks and dtypes, in small stacks: U S Vh = scale · B A, with zero directions beyond the rank."""
    zoo = [adapter("a", spec(4), seed=1), adapter("b", spec(2), seed=2), adapter("c", spec(4), seed=3)]
    half = {path: (b.half(), a.bfloat16()) for path, (b, a) in ((p, m.factors()) for p, m in zoo[2].modules.items())}
    double = {path: (b.double(), a.double()) for path, (b, a) in ((p, m.factors()) for p, m in zoo[0].modules.items())}
    zoo = [adapter("a", double), zoo[1], adapter("c", half)]
    paths = module_paths(zoo)
    U, S, Vh = canonical_forms(zoo, paths, rank=5)
    assert (U.shape, S.shape, Vh.shape) == ((3, 3, 64, 5), (3, 3, 5), (3, 3, 5, 48))
    assert U.dtype == S.dtype == Vh.dtype == torch.float32 and U.mT.is_contiguous()
    for row, path in enumerate(paths):
        for i, one in enumerate(zoo):
            module = one.modules[path]
            b, a = (factor.double() for factor in module.factors())
            tau = module.scale * b @ a
            error = tau - (U[row, i].double() * S[row, i].double()) @ Vh[row, i].double()
            assert error.norm() <= 1e-6 * tau.norm()
            assert (
                not S[row, i, module.rank :].any()
                and not U[row, i, :, module.rank :].any()
                and not Vh[row, i, module.rank :].any()
            )


def test_canonical_forms_in_small_stacks_are_the_same(adapter, monkeypatch) -> None:
    zoo = [adapter(f"{i}", spec(rank), seed=i) for i, rank in enumerate([4, 2, 4, 4])]
    whole = canonical_forms(zoo, module_paths(zoo), rank=4)
    monkeypatch.setattr("taskvec.canonical.STACK", 1)
    for one, other in zip(whole, canonical_forms(zoo, module_paths(zoo), rank=4), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
