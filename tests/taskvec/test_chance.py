"""Chance values against a slow implementation, and the rules for zeros and NaN."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from taskvec.chance import DRAWS, SEED, NanMean, nan_mean, normalised_draws, rec_chance, rec_z

EXPECTED_DRAWS = [0.7870843070006076, -2.5144033006796174, -0.34082733241799706]
EXPECTED_CHANCE = (0.4179176, 0.2557555)


def slow_chance(s1: list[float]) -> tuple[float, float]:
    """The definition, draw by draw, in Python's own floats."""
    spectrum = [s for s in s1 if s > 0]
    r = len(spectrum)
    recs = []
    for z in np.random.Generator(np.random.PCG64([SEED, r])).standard_normal((DRAWS, r)).tolist():
        kept = [max(0.0, value) for value in z]
        total = sum(kept)
        shares = [value / total if total else 0.0 for value in kept]
        recs.append(sum(min(s / sum(spectrum), q) for s, q in zip(spectrum, shares, strict=True)))
    mean = math.fsum(recs) / DRAWS
    return mean, math.sqrt(math.fsum((rec - mean) ** 2 for rec in recs) / DRAWS)


@pytest.mark.parametrize("r", [1, 2, 7, 8, 33])
def test_chance_is_that_of_the_definition(r: int) -> None:
    s1 = np.sort(np.random.default_rng(r).gamma(1.0, size=r))[::-1]
    mean, sd = rec_chance(s1)
    # fp32 sums of r terms of at most 1, for each draw
    assert (mean, sd) == pytest.approx(slow_chance(s1.tolist()), abs=1e-6)


def test_a_batch_is_its_spectra_one_by_one() -> None:
    rng = np.random.default_rng(0)
    s1 = np.sort(rng.gamma(1.0, size=(3, 19, 8)))[..., ::-1] * (np.arange(8) < rng.integers(0, 9, (3, 19, 1)))
    mean, sd = rec_chance(s1)
    assert mean.shape == sd.shape == (3, 19)
    for index in np.ndindex(3, 19):
        assert (mean[index], sd[index]) == rec_chance(s1[index])


def test_padding_order_and_scale_do_not_matter() -> None:
    s1 = np.array([4.0, 2.0, 1.0])
    assert rec_chance(np.array([0.0, 1.0, 0.0, 4.0, 2.0])) == rec_chance(s1)
    assert rec_chance(s1 * 1024) == rec_chance(s1)


def test_one_direction_is_a_coin() -> None:
    mean, sd = rec_chance(np.array([3.0]))
    kept = float((normalised_draws(1) > 0).mean())
    assert mean == pytest.approx(kept, abs=1e-6)
    assert sd == pytest.approx(math.sqrt(kept * (1 - kept)), abs=1e-6)
    assert abs(mean - 0.5) < 4 * 0.5 / math.sqrt(DRAWS)


def test_zero_and_nan_spectra() -> None:
    mean, sd = rec_chance(np.array([[0.0, 0.0], [1.0, np.nan], [1.0, 0.5]]))
    assert mean[0] == sd[0] == 0
    assert np.isnan(mean[1]) and np.isnan(sd[1])
    assert 0 < mean[2] < 1 and sd[2] > 0


def test_draws_are_the_same_everywhere() -> None:
    """Values of the generator written down once: a change of them changes every published z."""
    z = np.random.Generator(np.random.PCG64([SEED, 3])).standard_normal(3)
    assert z.tolist() == pytest.approx(EXPECTED_DRAWS, rel=1e-12)
    assert rec_chance(np.array([4.0, 2.0, 1.0])) == pytest.approx(EXPECTED_CHANCE, abs=1e-6)


def test_the_global_generators_are_neither_used_nor_moved() -> None:
    code = (
        "import sys, numpy as np; np.random.seed(int(sys.argv[1])); from taskvec.chance import rec_chance;"
        "print(*map(float.hex, map(float, rec_chance(np.array([3.0, 1.0])))), np.random.rand())"
    )
    first, second = (subprocess.check_output([sys.executable, "-c", code, seed], text=True).split() for seed in "12")
    assert first[:2] == second[:2]
    np.random.seed(1)
    assert float(first[2]) == np.random.rand()


def test_nan_mean_counts_what_it_used() -> None:
    mean, used = nan_mean(np.array([[1.0, np.nan, np.nan], [2.0, 5.0, np.nan]]))
    np.testing.assert_array_equal(mean, [1.5, 5.0, np.nan])
    np.testing.assert_array_equal(used, [2, 1, 0])


def test_nan_mean_in_blocks_is_nan_mean_at_once() -> None:
    values = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    values[2, 1] = values[:, 3] = np.nan
    running = NanMean((4,))
    for block in (values[:3], values[3:6], values[6:]):
        running.add(block)
    np.testing.assert_allclose(running.value, nan_mean(values)[0], rtol=1e-14)


def test_rec_z_by_hand() -> None:
    rec = np.array([[0.9, 0.5], [np.nan, 0.7], [0.6, np.nan]])
    chance, sd = np.array([[0.4], [0.3], [0.35]]), np.array([[0.1], [0.2], [0.1]])
    z = rec_z(rec, chance, sd)
    assert z.tolist() == pytest.approx([(0.5 + 0.25) / math.sqrt(0.02), (0.1 + 0.4) / math.sqrt(0.05)])


def test_rec_z_without_spread_is_nan() -> None:
    assert np.isnan(rec_z(np.zeros(3), np.zeros(3), np.zeros(3)))
    assert np.isnan(rec_z(np.full(3, np.nan), np.ones(3), np.ones(3)))
    assert np.isnan(rec_z(np.zeros(0), np.zeros(0), np.zeros(0)))
