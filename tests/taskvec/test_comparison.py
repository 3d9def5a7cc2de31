"""Whether A holds B more than C: the tests are scipy's, the interval covers what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from taskvec import TaskvecError
from taskvec.queries.comparison import NEARER, bootstrap_interval, compare, difference

NAMES = ("sum", "ner", "ten")


def made(n: int = 24, *, shift: float = 0.1, seed: int = 0):
    rng = np.random.default_rng(seed)
    second = rng.uniform(0.3, 0.7, n)
    return second + shift + 0.05 * rng.standard_normal(n), second


def test_p_values_are_those_of_scipy() -> None:
    first, second = made()
    found = difference("rec", range(24), first, second)
    assert found.student.two_sided == stats.ttest_rel(first, second).pvalue
    assert found.student_unpaired.two_sided == stats.ttest_ind(first, second).pvalue
    assert found.wilcoxon.two_sided == stats.wilcoxon(first, second).pvalue
    for p in (found.student, found.student_unpaired):
        assert p.one_sided == pytest.approx(p.two_sided / 2)  # as in the paper's tables 5 and 11
    assert found.difference == pytest.approx((first - second).mean()) and found.low < found.difference < found.high
    assert found.favours == "first"


def test_of_a_distance_less_is_nearer() -> None:
    first, second = made()
    found = difference("l1", range(24), first, second)
    assert found.favours == "second" and found.student.one_sided > 0.99
    assert difference("l1", range(24), second, first).favours == "first"


def test_modules_that_one_of_them_lacks_are_not_used() -> None:
    first, second = made()
    first[3] = second[5] = np.nan
    kept = np.delete(np.arange(24), [3, 5])
    assert difference("rec", range(24), first, second) == difference("rec", kept, first[kept], second[kept])


def test_nothing_to_test_is_nan() -> None:
    empty = difference("rec", [0, 1], [math.nan] * 2, [0.5] * 2)
    same = difference("rec", [0, 1, 2], [0.5] * 3, [0.5] * 3)
    for one in (empty, same):
        assert math.isnan(one.student.two_sided) and math.isnan(one.wilcoxon.one_sided) and one.favours is None
    assert math.isnan(empty.difference) and math.isnan(empty.low)
    assert (same.difference, same.low, same.high) == (0, 0, 0)


def result(names: tuple[str, ...], values: dict[str, np.ndarray]) -> xr.Dataset:
    """A sweep's: (L, 2) of sum→ner and sum→ten by metric."""
    arrays = {}
    for metric, of_pairs in values.items():
        array = np.full((len(of_pairs), 3, 3), 0.5)
        array[:, 0, 1:] = of_pairs
        arrays[metric] = (("module", "source", "target"), array)
    modules = [f"h.{i // 2}.{'qv'[i % 2]}" for i in range(len(of_pairs))]
    return xr.Dataset(arrays, coords={"source": list(names), "target": list(names), "module": modules})


def test_the_document() -> None:
    dataset = result(NAMES, {metric: np.stack(made(), -1) for metric in NEARER})
    dataset["rec"][5, 0, 2] = np.nan  # a module that one of them lacks
    document = compare(dataset, *NAMES).to_dict()
    assert [document[name] for name in ("source", "first", "second", "modules", "layers")] == [*NAMES, 23, 12]
    found = {name: one["favours"] for name, one in document["metrics"].items()}
    assert found == {"rec": "first", "l1": "second", "captured": "first"}


def test_no_module_in_common() -> None:
    dataset = result(NAMES, dict.fromkeys(NEARER, np.full((4, 2), math.nan)))
    with pytest.raises(TaskvecError, match="no module in common"):
        compare(dataset, *NAMES)


@pytest.mark.parametrize("layers", [6, 12, 32])
def test_the_interval_covers(layers: int) -> None:
    """Two modules a layer that have most of their variance in common."""
    rng = np.random.default_rng(layers)
    missed, draws = 0, 300
    of = np.repeat(np.arange(layers), 2)
    for _ in range(draws):
        values = rng.standard_normal(layers)[of] + 0.3 * rng.standard_normal(2 * layers)
        low, high = bootstrap_interval(values, of)
        missed += not low <= 0 <= high
    assert 0 < missed / draws < 0.05 + 3 * math.sqrt(0.05 / draws)
