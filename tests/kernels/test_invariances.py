"""What must not change a result: gauges, signs, tiles, batches, threads, the other adapters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from taskvec_kernels import LowRankSVD, lowrank_svd, pairwise

from .cases import ALL_PAIRWISE, by_direction, factors, joined, name_of, pick, random, zoo
from .compare import assert_pairs, assert_same_bits, assert_svd

# zoos that end inside a vector, a group and a tile, on their edges, and cross them
ZOOS = [(3, 9, 8, 3), (17, 9, 8, 5), (150, 9, 8, 8), (300, 6, 5, 4), (1100, 3, 3, 1), (5, 40, 36, 33)]


def everything(x: LowRankSVD, y: LowRankSVD | None = None) -> Any:
    return pairwise(x, y, metrics=ALL_PAIRWISE, spectra=True, p=3.0)


def few_directions(x: LowRankSVD) -> bool:
    return x.S.shape[-2:].numel() <= 128


@pytest.mark.parametrize("shape", [(20, 30, 4), (65, 40, 16)], ids=name_of)
def test_gauges(shape: tuple[int, int, int]) -> None:
    """(B G, G⁻¹ A) is the same τ, for every G that rounds nothing: sizes, signs, order."""
    m, n, r = shape
    b, a = factors(m, n, r)
    size = 2.0 ** torch.randint(-20, 20, (r,), generator=torch.Generator().manual_seed(0))
    sign = 1 - 2 * (torch.arange(r) % 2)
    order = torch.randperm(r, generator=torch.Generator().manual_seed(1))
    for left, right in ((b * size, a / size[:, None]), (b * sign, a * sign[:, None]), (b[:, order], a[order])):
        assert_svd(lowrank_svd(left, right), b, a)


def test_a_full_gauge_in_fp64() -> None:
    b, a = factors(30, 20, 6, dtype=torch.float64)
    g = random(6, 6, seed=5)
    turned = b @ g, torch.linalg.solve(g, a)
    assert_svd(lowrank_svd(*turned), b, a, condition=float(torch.linalg.cond(g)) * 100)


def test_a_gauge_of_either_side_changes_no_pair() -> None:
    b, a = factors(30, 20, 4, batch=(5,))
    size = 2.0 ** torch.arange(-8, 8, 4)
    x = lowrank_svd(b, a)
    assert_pairs(pairwise(lowrank_svd(b * size, a / size[:, None])), x)


def test_signs_of_singular_vectors() -> None:
    x = zoo(20, 9, 8, 5)
    sign = 1 - 2 * (random(20, 1, 5) > 0).float()
    turned = LowRankSVD(by_direction(x.U * sign), x.S, x.Vh * sign.mT)
    assert_same_bits(everything(turned), everything(x))


@pytest.mark.slow
@pytest.mark.parametrize("shape", ZOOS, ids=name_of)
def test_other_adapters(shape: tuple[int, int, int, int]) -> None:
    """The pairs of a part of a zoo are the part of its pairs, wherever the tiles are cut: to the last bit, but across
    the number of directions up to which no panels are packed."""
    x = zoo(*shape)
    whole = everything(x).forward
    adapters = shape[0]
    for part in ([0], [adapters - 1], list(range(1, adapters, 2)), list(range(adapters // 3, adapters))):
        alone = everything(pick(x, part))
        if few_directions(pick(x, part)) == few_directions(x):
            assert_same_bits(alone.forward, {name: values[part][:, part] for name, values in whole.items()})
        else:
            assert_pairs(alone, pick(x, part), p=3.0)


@pytest.mark.parametrize(("n_x", "n_y"), [(3, 5), (17, 40), (150, 70)])
def test_blocks_of_a_joined_zoo(n_x: int, n_y: int) -> None:
    x, y = zoo(n_x, 9, 8, 5), zoo(n_y, 9, 8, 5, seed=10)
    whole, block = everything(joined(x, y)).forward, everything(x, y)
    assert_same_bits(block.forward, {name: values[:n_x, n_x:] for name, values in whole.items()})
    assert_same_bits(block.backward, {name: values[n_x:, :n_x] for name, values in whole.items()})


def test_swapping_the_sides() -> None:
    """All but overlaps to the last bit: only their sums run in the order of the sides."""
    x, y = zoo(17, 9, 8, 5), zoo(40, 9, 8, 3, seed=10)
    one, other = everything(x, y), everything(y, x)
    for name in one.forward:
        if not name.startswith("overlap"):
            assert_same_bits((one.forward[name], one.backward[name]), (other.backward[name], other.forward[name]))
    assert_pairs(other, y, x, p=3.0)


@pytest.mark.parametrize("shape", [(9, 9, 8, 8), (130, 9, 8, 8), (150, 9, 8, 8), (5, 40, 36, 33)], ids=name_of)
def test_order_of_the_adapters(shape: tuple[int, int, int, int]) -> None:
    x = zoo(*shape)
    order = torch.randperm(shape[0], generator=torch.Generator().manual_seed(0)).tolist()
    whole, shuffled = everything(x).forward, everything(pick(x, order)).forward
    for name, values in whole.items():
        if not name.startswith("overlap"):
            assert_same_bits(shuffled[name], values[order][:, order])


def test_batches_of_modules() -> None:
    x, y = zoo(20, 9, 8, 5, batch=(3, 2)), zoo(7, 9, 8, 4, batch=(3, 2), seed=10)
    whole, between = everything(x), everything(x, y)
    for i in range(3):
        for j in range(2):
            one, other = (LowRankSVD(*(t[i, j] for t in z)) for z in (x, y))
            assert_same_bits(everything(one).forward, {name: v[i, j] for name, v in whole.forward.items()})
            assert_same_bits(everything(one, other).backward, {name: v[i, j] for name, v in between.backward.items()})


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_threads(count: int, threads: Any) -> None:
    b, a = factors(70, 40, 6, batch=(9,))
    x, y = zoo(300, 9, 8, 4, batch=(2,)), zoo(50, 9, 8, 3, batch=(2,), seed=10)
    results = []
    for number in (1, count):
        threads(number)
        results.append((lowrank_svd(b, a), everything(x), everything(x, y)))
    assert_same_bits(*results)


def test_again() -> None:
    b, a = factors(70, 40, 6, batch=(9,))
    x = lowrank_svd(b, a)
    assert_same_bits(lowrank_svd(b, a), x)
    assert_same_bits(everything(x), everything(x))


def test_a_large_batch_that_bypasses_the_caches() -> None:
    """Outputs over 16 MiB are streamed to memory; the bits are the same."""
    b, a = factors(1030, 1021, 8, batch=(300,))
    whole = lowrank_svd(b, a)
    for index in (0, 150, 299):
        assert_same_bits(lowrank_svd(b[index], a[index]), LowRankSVD(*(t[index] for t in whole)))
