"""The behaviour matrix and forgetting, on losses made up for it."""

from __future__ import annotations

import pytest

from study.behaviour import behaviour, forgetting
from study.plan import Adapter, Merged, Trained


def trained(task: str) -> Trained:
    return Trained(f"{task}-s0", task, 0, 8, 60)


ADAPTERS: list[Adapter] = [
    trained("ner"),
    trained("per"),
    trained("ner+ten"),
    Merged("ner-with-ten-s0", ("ner-s0", "ten-s0"), 0, None),
]
BASE = {"ner": 3.0, "per": 4.0, "ten": 1.0}
LOSSES = {
    "ner-s0": {"ner": 1.0, "per": 2.0, "ten": 2.0},
    "per-s0": {"ner": 2.0, "per": 0.0, "ten": 1.0},
    "ner+ten-s0": {"ner": 1.0, "per": 3.0, "ten": 0.5},
    "ner-with-ten-s0": {"ner": 3.5, "per": 3.0, "ten": 1.5},
}


def test_the_share_of_a_tasks_own_loss_reduction() -> None:
    shares = {(source, target): share for source, target, share in behaviour(ADAPTERS, LOSSES, BASE)}
    assert shares["per-s0", "ner-s0"] == pytest.approx((3 - 2) / (3 - 1))
    assert shares["ner-s0", "per-s0"] == pytest.approx((4 - 2) / (4 - 0))
    assert shares["ner-with-ten-s0", "ner-s0"] == pytest.approx((3 - 3.5) / 2)
    # a mixture's loss is the mean of its parts: from 2.0 to 0.75, by ner alone to 1.5
    assert shares["ner-s0", "ner+ten-s0"] == pytest.approx(0.5 / 1.25)


def test_who_learned_nothing_is_no_target_and_nobody_is_their_own() -> None:
    pairs = {(source, target) for source, target, _ in behaviour(ADAPTERS, LOSSES, BASE)}
    assert {target for _, target in pairs} == {"ner-s0", "per-s0", "ner+ten-s0"}
    assert all(source != target for source, target in pairs)
    assert len(pairs) == 3 * 3


def test_forgetting_is_of_tasks_that_are_not_ones_own() -> None:
    rows = {(name, task): (before, after) for name, task, before, after in forgetting(ADAPTERS, LOSSES, BASE)}
    assert rows["ner-s0", "ten"] == (1.0, 2.0)
    assert ("ner-s0", "ner") not in rows
    assert {task for name, task in rows if name == "ner-with-ten-s0"} == {"per"}
