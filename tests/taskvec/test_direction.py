"""Verdicts: which of two adapters is inside the other, and how often chance would say so."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from taskvec.chance.layers import OtherLayers
from taskvec.paths import layer_of
from taskvec.queries.direction import LEVEL, Shares, direction
from taskvec.results.direction import Direction

LAYERS = 12
TIMES = np.exp(0.1 * np.sin(np.arange(LAYERS)))  # how layers differ


def shares(captured, *, norm=1.0, random=1e-4, mean: float | None = 0.01, t: float = 9.0, n: int = 11) -> Shares:
    captured = np.atleast_1d(np.asarray(captured, np.float64))
    one = np.ones_like(captured)
    other = None if mean is None else OtherLayers(*map(np.array, (mean, 0.1 * mean, t, n)))
    return Shares(captured, norm * one, random * one, other)


def verdict(there, back, layers: Sequence[object] | None = None, **more) -> Direction:
    there, back = (x if isinstance(x, Shares) else shares(x) for x in (there, back))
    return direction(list(range(len(there.captured))) if layers is None else layers, there, back, **more)


@pytest.mark.parametrize(
    ("there", "back", "expected"),
    [
        (0.8 * TIMES, 0.5 * TIMES[::-1], "target inside source"),
        (0.4 * TIMES, 0.2 * TIMES[::-1], "source holds more"),
        (0.2 * TIMES, 0.8 * TIMES[::-1], "source inside target"),
        (0.2 * TIMES, 0.4 * TIMES[::-1], "target holds more"),
        (np.ones(LAYERS), np.ones(LAYERS), "both the same"),
        (1 - 1e-7 * TIMES, np.ones(LAYERS), "both the same"),  # fp32
        (0.6 * TIMES**4, 0.6 * TIMES[::-1] ** 4, "related, direction undecided"),
        (0.2 * np.ones(LAYERS), 0.2 * np.ones(LAYERS), "related, direction undecided"),
        (0.8 * TIMES[:5], 0.2 * TIMES[:5], "undecided: fewer than six layers"),
    ],
)
def test_verdicts(there, back, expected: str) -> None:
    found = verdict(there, back)
    assert found.verdict == expected
    assert found.count == len(there) and found.over == "layers"
    assert found.captured == pytest.approx((there.mean(), back.mean()))


def test_not_above_other_layers() -> None:
    low = shares(0.4 * TIMES, t=1.5)
    assert verdict(low, shares(0.2 * TIMES[::-1], t=1.0)).verdict == "not above other layers"
    # the side that holds more must be above itself
    assert verdict(low, shares(0.2 * TIMES[::-1])).verdict == "related, direction undecided"


def test_the_other_way_is_the_same_verdict_turned_around() -> None:
    there, back = shares(0.8 * TIMES, norm=2.0), shares(0.3 * TIMES[::-1], mean=0.02)
    one, two = verdict(there, back), verdict(back, there).reversed()
    assert one.verdict == two.verdict == "target inside source" and one.above == two.above
    for name in ("ratio", "low", "high", "captured"):
        assert getattr(one, name) == pytest.approx(getattr(two, name))
    assert one.low < one.ratio < one.high
    assert one.words("C", "A") == "A inside C" and two.reversed().words("A", "C") == "A inside C"


def test_shares_are_taken_above_other_layers_not_over_them() -> None:
    """C holds all of A and, being bigger, ten times as much of any layer; the quotients would say A ⊃ C."""
    found = verdict(shares(0.9 * TIMES / TIMES.max(), mean=0.1), shares(0.5 * TIMES[::-1], mean=0.01))
    assert found.verdict == "target inside source"
    there, back = ((np.array([0.9 * TIMES / TIMES.max(), 0.5 * TIMES]).mean(1) - (0.1, 0.01)) / (0.9, 0.99)).tolist()
    assert found.ratio == pytest.approx(there / back)


def test_modules_of_a_layer_are_one_observation() -> None:
    twice = [np.repeat(x, 2) for x in (0.8 * TIMES, 0.5 * TIMES[::-1])]
    one, two = verdict(0.8 * TIMES, 0.5 * TIMES[::-1]), verdict(*twice, layers=np.repeat(range(LAYERS), 2).tolist())
    assert two.count == LAYERS
    assert (two.ratio, two.low, two.high) == pytest.approx((one.ratio, one.low, one.high))


def test_pooled_by_the_size_of_the_update() -> None:
    norm = np.where(np.arange(LAYERS) < 6, 10.0, 1.0)
    there = Shares(np.where(norm > 1, 0.9, 0.1), norm, np.full(LAYERS, 1e-4))
    assert verdict(there, shares(0.5 * TIMES)).captured[0] == pytest.approx((0.9 * 100 + 0.1) / 101)


def test_both_must_hold_when_cut_to_the_smaller_rank() -> None:
    full = 0.8 * TIMES, 0.5 * TIMES[::-1]
    as_full, turned = (shares(full[0]), shares(full[1])), (shares(full[1]), shares(full[0]))
    assert verdict(*full, cut=as_full).verdict == "target inside source"
    found = verdict(*full, cut=turned)
    assert found.verdict == "related, direction undecided" and found.ratio_cut < 1 < found.ratio


def test_a_module_of_zero_counts_in_the_share_and_not_in_the_interval() -> None:
    """The source trained the first six layers alone: of the others it holds nothing."""
    live = np.arange(LAYERS) < 6
    there = Shares(np.where(live, 0.9, np.nan), np.ones(LAYERS), np.full(LAYERS, 1e-4))
    back = Shares(np.where(live, 0.9, np.nan), 1.0 * live, np.full(LAYERS, 1e-4))
    found = verdict(there, back)
    assert found.captured == pytest.approx((0.45, 0.9)) and found.count == 6


@pytest.mark.parametrize("empty", [shares(np.full(8, np.nan), norm=0.0), shares([])])
def test_nothing_to_compare_has_no_verdict(empty: Shares) -> None:
    found = verdict(empty, empty)
    assert found.verdict is None and math.isnan(found.ratio) and found.words("a", "b") == ""


def test_without_other_layers_random_directions_stand_in() -> None:
    related, random = shares(0.3 * TIMES, mean=None), shares(1e-4 * TIMES / TIMES.mean(), mean=None)
    assert verdict(related, shares(0.1 * TIMES[::-1], mean=None)).verdict == "source holds more"
    assert verdict(random, random).verdict == "not above other layers"


def test_full_rank_has_no_direction() -> None:
    """Directions that span everything hold all of any target."""
    everything = shares(np.ones(8), random=1.0, mean=None)
    assert verdict(everything, everything).verdict == "not above other layers"


@pytest.mark.parametrize("layers", [6, 12, 32])
@pytest.mark.parametrize("tail", ["normal", "heavy"])
def test_rate_when_the_directions_are_exchanged_at_random_by_layer(layers: int, tail: str) -> None:
    rng = np.random.default_rng(layers)
    claimed = 0
    draws = 1500
    for _ in range(draws):
        size = np.exp(rng.standard_normal(layers)) if tail == "heavy" else np.ones(layers)
        logs = 0.3 * size * rng.standard_normal(layers)
        there, back = (0.2 * np.exp(sign * logs) / np.cosh(logs) for sign in (0.5, -0.5))
        claimed += "more" in str(verdict(there, back).verdict)
    alpha = 1 - LEVEL
    assert 0.2 * alpha < claimed / draws < alpha + 3 * math.sqrt(alpha / draws)


@pytest.mark.parametrize(
    ("path", "layer"),
    [
        ("model.layers.10.self_attn.q_proj", "model.layers.10"),
        ("encoder.layer.3", "encoder.layer.3"),
        ("down_blocks.0.attentions.1.to_q", "down_blocks.0"),
        ("lm_head", "lm_head"),
        ("conv1.weight", "conv1.weight"),
    ],
)
def test_layer_of(path: str, layer: str) -> None:
    assert layer_of(path) == layer
