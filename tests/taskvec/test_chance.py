"""Sums over modules, z and q, other layers: against plain loops and scipy, and the rules for zeros and NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control, norm
from scipy.stats import t as student

from taskvec.chance import significance
from taskvec.chance.layers import FEWEST, other_layers
from taskvec.chance.means import GeometricMean, NanMean, PooledShare, nan_mean, quartiles
from taskvec.chance.significance import NEGATIVE, p_values, q_values, rec_z, sigma0, sorted_values
from taskvec.chance.spectra import participation


def test_nan_mean_counts_what_it_used() -> None:
    mean, used = nan_mean(np.array([[1.0, np.nan, np.nan], [2.0, 5.0, np.nan]]))
    np.testing.assert_array_equal(mean, [1.5, 5.0, np.nan])
    np.testing.assert_array_equal(used, [2, 1, 0])


@pytest.mark.parametrize("kind", [NanMean, GeometricMean], ids=lambda kind: kind.__name__)
def test_in_blocks_as_at_once(kind) -> None:
    values = np.random.default_rng(0).gamma(1.0, size=(7, 4)).astype(np.float32)
    values[2, 1] = values[:, 3] = np.nan
    running, whole = kind((4,)), kind((4,))
    for block in (values[:3], values[3:6], values[6:]):
        running.add(block)
    whole.add(values)
    np.testing.assert_allclose(running.value, whole.value, rtol=1e-14)
    assert np.isnan(running.value[3]) and not np.isnan(running.value[:3]).any()


def test_the_geometric_mean() -> None:
    mean = GeometricMean((3,))
    mean.add(np.array([[1.0, 4.0, np.nan], [16.0, 0.0, 3.0]]))
    np.testing.assert_allclose(mean.value, [4.0, 0.0, 3.0])


def test_quartiles_skip_nan() -> None:
    values = np.array([[1.0, np.nan, np.nan], [2.0, 7.0, np.nan], [3.0, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(quartiles(values), [[1.5, 7.0, np.nan], [2.5, 7.0, np.nan]])
    assert np.isnan(quartiles(np.empty((0, 2)))).all()


def test_a_pooled_share_is_that_of_the_whole() -> None:
    """Of updates put under each other: ‖part‖² / ‖whole‖². A source of zero holds nothing of what is there."""
    share = PooledShare((3,))
    shares = np.array([[0.5, np.nan, np.nan], [0.1, 0.25, np.nan]])
    squares = np.array([[1.0, 3.0, 0.0], [9.0, 1.0, 0.0]])
    for row in range(2):
        share.add(shares[row : row + 1], squares[row : row + 1])
    np.testing.assert_allclose(share.value, [(0.5 + 0.9) / 10, 0.25 / 4, np.nan])


def test_rec_z_by_hand() -> None:
    rec = np.array([[0.9, 0.5], [np.nan, 0.7], [0.6, np.nan]])
    chance, sd = np.array([[0.4], [0.3], [0.35]]), np.array([[0.1], [0.2], [0.1]])
    z = rec_z(rec, chance, sd)
    assert z.tolist() == pytest.approx([(0.5 + 0.25) / math.sqrt(0.02), (0.1 + 0.4) / math.sqrt(0.05)])


def test_rec_z_without_spread_is_nan() -> None:
    assert np.isnan(rec_z(np.zeros(3), np.zeros(3), np.zeros(3)))
    assert np.isnan(rec_z(np.full(3, np.nan), np.ones(3), np.ones(3)))
    assert np.isnan(rec_z(np.zeros(0), np.zeros(0), np.zeros(0)))


def test_sigma0_is_the_width_of_the_negative_half() -> None:
    z = np.random.default_rng(0).normal(0, 2.5, 100_000)
    related = np.concatenate([z, np.full(50_000, 30.0), [np.nan]])
    assert sigma0(related) == pytest.approx(2.5, rel=0.01)
    assert sigma0(z / 10) == 1.0
    few = np.concatenate([-np.ones(NEGATIVE - 1), np.ones(500)])
    assert math.isnan(sigma0(few)) and sigma0(np.append(few, -1.0)) == 1.0
    assert math.isnan(sigma0(np.empty(0)))


def test_p_is_one_sided() -> None:
    z = np.array([-3.0, 0.0, 2.0, 12.0, np.nan])
    np.testing.assert_allclose(p_values(z), norm.sf(z), rtol=1e-12)
    assert p_values(np.array([12.0]))[0] > 0


@pytest.mark.parametrize("correction", ["bh", "by"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_q_is_scipys_and_nan_is_no_test(correction: str, in_memory: bool, monkeypatch) -> None:
    if not in_memory:
        monkeypatch.setattr(significance, "IN_MEMORY", 0)
        monkeypatch.setattr(significance, "CHUNK", 7)
    rng = np.random.default_rng(1)
    z = np.concatenate([rng.normal(0, 2, size=90), rng.uniform(3, 50, size=10), [0.5, 0.5, 40.0, 41.0]])
    with_nan = np.insert(z, [0, 40], np.nan)
    q = q_values(sorted_values([with_nan[:30], with_nan[30:]], 200), sigma=1.5, correction=correction)(with_nan)
    np.testing.assert_array_equal(np.isnan(q), np.isnan(with_nan))
    expected = false_discovery_control(p_values(z / 1.5), method=correction)
    np.testing.assert_allclose(q[~np.isnan(q)], expected, rtol=1e-12)
    empty = q_values(sorted_values([np.array([np.nan])], 1))
    assert np.isnan(empty(np.array([np.nan]))).all() and empty(np.empty(0)).size == 0


def test_q_of_a_histogram_is_never_too_small() -> None:
    z = np.random.default_rng(3).normal(1, 2, size=20_000)
    exact = q_values(np.sort(z))(z)
    edges = np.linspace(-16, 16, 2049)
    of_bins = q_values(np.append(-np.inf, edges), np.histogram(z, [-np.inf, *edges, np.inf])[0])(z)
    assert (of_bins >= exact * (1 - 1e-9)).all()
    some = (1e-6 < exact) & (exact < 0.2)
    assert some.sum() > 1000 and (of_bins[some] <= exact[some] * 1.15).all()  # p of bins of 1/64 at z < 6


def test_q_of_the_largest_alone_counts_every_test() -> None:
    """As if the others were not above chance: at least q of all."""
    z = np.sort(np.random.default_rng(4).normal(1, 2, size=5000))
    some = q_values(z[-500:], tests=5000)(z[-500:])
    assert (some >= q_values(z)(z[-500:]) * (1 - 1e-9)).all() and (some[-100:] < 0.05).all()


def test_other_layers_is_the_t_of_one_more_draw() -> None:
    """Against Student's test of two samples, of which one has a single value."""
    rng = np.random.default_rng(2)
    others = rng.gamma(2.0, size=(3, 8))
    others[1, 6:] = np.nan
    value = np.array([5.0, 5.0, 0.1])
    for logarithm in (True, False):
        found = other_layers(value, others, logarithm=logarithm)
        for i in range(3):
            there = others[i][~np.isnan(others[i])]
            n = len(there)
            x, y = (np.log(value[i]), np.log(there)) if logarithm else (value[i], there)
            want = (x - y.mean()) / (y.std(ddof=1) * math.sqrt(1 + 1 / n))
            assert (found.mean[i], found.sd[i], found.n[i]) == pytest.approx((there.mean(), there.std(ddof=1), n))
            assert found.t[i] == pytest.approx(want)


def test_t_keeps_its_level() -> None:
    """Of a heavy tail, by logarithms; without them a pair that is no different is found three times too often."""
    draws = np.exp(np.random.default_rng(3).normal(size=(100_000, 12)))
    plain, of_logs = (
        (student.sf(other_layers(draws[:, 0], draws[:, 1:], logarithm=logarithm).t, 10) < 0.01).mean() / 0.01
        for logarithm in (False, True)
    )
    assert of_logs == pytest.approx(1, abs=0.1) and plain > 3


@pytest.mark.parametrize(
    "others",
    [[], [0.1] * (FEWEST - 1), [0.1] * FEWEST, [0.1, 0.2, 0.0, 0.3, 0.1]],
    ids=["none", "few", "equal", "zero"],
)
def test_no_t_where_there_is_no_spread(others: list[float]) -> None:
    found = other_layers(0.5, np.array(others))
    assert np.isnan(found.t) and found.n == len(others)
    assert np.isnan(found.mean) == (not others) and np.isnan(found.sd) == (not others)
    assert np.isnan(other_layers(0.0, np.array([0.1, 0.2, 0.3, 0.4, 0.5])).t)


def test_participation_counts_directions_in_effect() -> None:
    spectra = np.array([[2.0, 2.0, 2.0, 0.0], [5.0, 0.0, 0.0, 0.0], [1e-25, 1e-25, 0, 0], [0, 0, 0, 0], [3.0, 1, 0, 0]])
    found = participation(spectra)
    np.testing.assert_allclose(found[[0, 1, 2, 4]], [3, 1, 2, 100 / 82])
    assert np.isnan(found[3])
