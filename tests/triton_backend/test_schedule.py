"""Every tile once, in closed form; and panels that cover every pair once within their budget."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl

from taskvec_kernels.backends.triton.panels import Cost, panels, plan, room
from taskvec_kernels.backends.triton.schedule import rectangle, triangle, triangle_tiles


@triton.jit
def walk(out_i, out_j, rows, columns, tiles, RATIO: tl.constexpr, STEPS: tl.constexpr):
    t = tl.arange(0, STEPS)
    if RATIO > 0:
        i, j = triangle(t, rows, RATIO)
    else:
        i, j = rectangle(t, rows, columns)
    tl.store(out_i + t, i, mask=t < tiles)
    tl.store(out_j + t, j, mask=t < tiles)


def walked(rows: int, columns: int, tiles: int, ratio: int) -> list[tuple[int, int]]:
    i, j = (torch.full((tiles,), -1, dtype=torch.int32) for _ in range(2))
    walk[(1,)](i, j, rows, columns, tiles, RATIO=ratio, STEPS=triton.next_power_of_2(tiles))
    return list(zip(i.tolist(), j.tolist(), strict=True))


@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("rows", [*range(1, 20), 24, 25, 39, 40, 41, 127, 128, 300, 1001])
def test_the_triangle(rows: int, ratio: int) -> None:
    """Tiles of 1 × ratio that reach the diagonal: column tile j begins at row j · ratio."""
    want = {(i, j) for i in range(rows) for j in range(i // ratio + 1)}
    got = walked(rows, 0, triangle_tiles(rows, ratio), ratio)
    assert len(got) == len(want) and set(got) == want


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 5), (8, 8), (17, 3), (64, 33)])
def test_the_rectangle(shape: tuple[int, int]) -> None:
    rows, columns = shape
    got = walked(rows, columns, rows * columns, 0)
    assert len(got) == rows * columns == len(set(got))
    assert set(got) == {(i, j) for i in range(rows) for j in range(columns)}


def test_neighbours_share_their_strips() -> None:
    """132 tiles in flight read 8 row strips and few column strips."""
    got = walked(256, 0, triangle_tiles(256, 2), 2)[20000 - 20000 % 132 :][:132]
    assert len({i for i, _ in got}) <= 16 and len({j for _, j in got}) <= 34


@pytest.mark.parametrize("M", [None, 1, 5, 40])
@pytest.mark.parametrize("budget", [1, 3000, 20_000, 200_000, 10**7])
def test_panels(budget: int, M: int | None) -> None:
    modules, N = 3, 33
    cost = Cost(x=1000, y=700, pair=64, program=500, programs=13)
    p = plan(modules, N, M, cost, tiles=20, budget=budget)
    seen: set[tuple[int, int, int]] = set()
    count = 0
    for panel in panels(p, modules, N, M):
        for module in range(panel.modules.start, panel.modules.stop):
            for i in range(panel.sources.start, panel.sources.stop):
                columns = range(panel.sources.start, i + 1) if panel.targets is None else None
                for j in columns or range(panel.targets.start, panel.targets.stop):
                    seen.add((module, i, j))
                    count += 1
    pairs = {
        (module, i, j) for module in range(modules) for i in range(N) for j in (range(i + 1) if M is None else range(M))
    }
    assert seen == pairs and count == len(pairs)
    used = p.modules * (p.sources * cost.x + p.sources * max(p.targets, p.sources if M is None else 0) * cost.pair)
    assert p.smallest or used + p.programs * cost.program <= 1.05 * budget or p.sources == p.modules == 1


@pytest.mark.parametrize(
    ("free", "want"), [(0, 2**28), (2**31, 2**29), (2**32 - 1, 2**29), (2**32, 2**30), (2**37, 2**30)]
)
def test_the_room_is_taken_from_the_free_memory(free: int, want: int) -> None:
    assert room(free) == want


def test_a_small_budget_is_the_smallest_plan() -> None:
    assert plan(9, 9, None, Cost(1000, 1000, 64, 500, 13), 20, 1).smallest
