"""The chance of REC: against all sign patterns one by one, and many random ones; and the patterns themselves."""

from __future__ import annotations

from itertools import combinations, product

import pytest
import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, compare_spectra, pairwise
from taskvec_kernels.sign_patterns import array_columns, bits, columns, sign_patterns

from .cases import DTYPES, joined, name_of, padded, pick, random, zoo
from .compare import assert_pairs, assert_same_bits

CHANCE = ("rec_chance", "rec_chance_sd")


def moments(s1: Tensor, d: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of REC over the rows of ``on``, for one pair."""
    recs = compare_spectra(s1.double(), on * d.double().abs(), metrics=["rec"], backend="reference")["rec"]
    return recs.mean(), recs.std(correction=0)


@pytest.mark.parametrize("r", range(1, 11))
def test_every_pattern_one_by_one(r: int) -> None:
    """Exact to r = 10, in both directions and of adapters of other ranks."""
    x, y = zoo(5, 24, 20, r, dtype=torch.float64), zoo(3, 24, 20, 4, dtype=torch.float64, seed=10)
    every = torch.tensor(list(product((0.0, 1.0), repeat=r)), dtype=torch.float64)
    out = pairwise(x, y, metrics=CHANCE, spectra=True).forward
    for i, j in product(range(5), range(3)):
        mean, sd = moments(x.S[i], out["d"][i, j], every)
        assert abs(out["rec_chance"][i, j] - mean) < 1e-13 and abs(out["rec_chance_sd"][i, j] - sd) < 1e-13


@pytest.mark.parametrize("r", [16, 32])
def test_beyond_it_is_near(r: int) -> None:
    """All 2^16 patterns, and 10^6 random ones, of flat, decaying and lone spectra."""
    if r == 16:
        on = (torch.arange(2**16)[:, None] >> torch.arange(16) & 1).double()
    else:
        on = (torch.rand(10**6, r, generator=torch.Generator().manual_seed(0)) < 0.5).double()
    s1 = torch.stack([decay ** torch.arange(r, dtype=torch.float64) for decay in (1.0, 0.9, 0.7)])
    d = random(3, r).abs() * torch.stack([decay ** torch.arange(r, dtype=torch.float64) for decay in (1.0, 0.95, 0.6)])
    for i, j in product(range(3), range(3)):
        whole, array = moments(s1[i], d[j], on), moments(s1[i], d[j], sign_patterns(r).double())
        assert abs(whole[0] - array[0]) < 0.004 and abs(whole[1] - array[1]) < 0.004


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("k", [1, 2, 3, 10, 11, 18, 40])
def test_backends_have_the_same_patterns(k: int, dtype: torch.dtype) -> None:
    """To rounding; other columns move the mean by 1e-3."""
    x, y = zoo(9, k + 4, k + 3, k, dtype=dtype), zoo(5, k + 4, k + 3, 2, dtype=dtype, seed=10)
    assert_pairs(pairwise(x, metrics=CHANCE), x)
    assert_pairs(pairwise(x, y, metrics=CHANCE), x, y)


@pytest.mark.slow
def test_more_directions_than_one_array_has() -> None:
    x = zoo(2, 300, 290, 270)
    y = padded(zoo(2, 300, 290, 40, seed=10), 270)
    assert_pairs(pairwise(joined(x, y), metrics=CHANCE), joined(x, y))


def test_ranks_mixed_in_one_zoo() -> None:
    """Each adapter has the patterns of its own rank, whatever it is padded to and whoever is beside it."""
    m, n, ranks = 30, 28, (1, 3, 8, 10, 11, 20)
    parts = [padded(zoo(3, m, n, k, dtype=torch.float64, seed=k), 20) for k in ranks]
    whole = parts[0]
    for part in parts[1:]:
        whole = joined(whole, part)
    out = pairwise(whole, metrics=CHANCE)
    assert_pairs(out, whole)
    for at, k in enumerate(ranks):
        mine = pick(whole, slice(3 * at, 3 * at + 3))
        alone = LowRankSVD(mine.U[..., :k], mine.S[..., :k], mine.Vh[..., :k, :])
        own = pairwise(alone, metrics=CHANCE).forward
        for name in CHANCE:
            part = out.forward[name][3 * at : 3 * at + 3, 3 * at : 3 * at + 3]
            torch.testing.assert_close(own[name], part, rtol=0, atol=1e-11)


def test_one_direction_is_a_coin() -> None:
    out = pairwise(zoo(6, 9, 8, 1), metrics=CHANCE).forward
    assert (out["rec_chance"] == 0.5).all() and (out["rec_chance_sd"] == 0.5).all()


def test_no_chance_where_s2_is_not_the_clipped_d() -> None:
    x = zoo(4, 9, 8, 3)
    for lam in (0.1, [0.0, 0.1]):
        out = pairwise(x, metrics=CHANCE, lam=lam).forward
        for name in CHANCE:
            assert out[name][-1 if isinstance(lam, list) else slice(None)].isnan().all()
    assert_same_bits(out["rec_chance"][0], pairwise(x, metrics=CHANCE).forward["rec_chance"])


def test_signs_of_directions_do_not_count() -> None:
    """Negating a component of the source, or of the target's update, is one of the patterns."""
    x = zoo(6, 14, 12, 5)
    turned = x._replace(U=(x.U * torch.tensor([1.0, -1, 1, -1, -1])).mT.contiguous().mT)
    assert_same_bits(pairwise(turned, x, metrics=CHANCE).forward, pairwise(x, x, metrics=CHANCE).forward)


@pytest.mark.parametrize("r", [*range(1, 13), 18, 40, 256, 257, 500])
def test_the_patterns_are_an_orthogonal_array(r: int) -> None:
    """Balanced, with complements, no two columns alike; any three columns show all eight signs equally often."""
    cs = columns(r)
    assert len(set(cs)) == r and all(c >> bits(r) - 1 == 1 for c in cs)
    on = sign_patterns(r)
    assert on.shape == (2 ** bits(r), r) and (on.double().mean(0) == 0.5).all()
    assert torch.equal(on.roll(len(on) // 2, 0), ~on)
    for some in list(combinations(range(r), 3))[:: max(1, r**3 // 2000)]:
        codes = (on[:, some].long() * torch.tensor([1, 2, 4])).sum(-1)
        assert (torch.bincount(codes, minlength=8) == len(on) // 8).all()


def test_the_columns() -> None:
    first = [0, 1, 2, 4, 8, 15, 16, 32, 51, 64, 85, 106, 128, 150, 171, 219, 237, 247, 3, 20, 42, 61, 74, 108]
    assert array_columns(24, 8) == first
    assert sorted(array_columns(256, 8)) == list(range(256))
    sums = [a ^ b for a, b in combinations(first[:18], 2)]
    assert len(set(sums)) == len(sums)  # no four sum to 0: strength 5
