"""Which modules change places, and how often."""

from __future__ import annotations

import numpy as np
import pytest

from taskvec.store.entry import entry_of
from taskvec.sweeps.shifts import MOST, groups_of, number_of_shifts, partners


def test_groups_are_of_one_kind_and_shape(adapter) -> None:
    spec = {f"h.{i}.{kind}": (m, 16, 2) for i in range(3) for kind, m in (("q", 24), ("v", 8))}
    one = adapter("one", spec | {"x.0.q": (24, 16, 1), "x.1.q": (8, 16, 1), "head": (5, 5, 1)})
    paths = [*sorted(spec), "x.0.q", "x.1.q", "head"]
    assert groups_of(entry_of(one), paths) == [
        ("h.0.q", "h.1.q", "h.2.q", "x.0.q"),
        ("h.0.v", "h.1.v", "h.2.v"),
        ("x.1.q",),
        ("head",),
    ]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([12, 12], 11),
        ([32], MOST),
        ([13], 12),
        ([6, 12], 5),
        ([12, 3, 1], 11),
        ([4, 2], 3),
        ([2], 1),
        ([1, 1], 0),
        ([], 0),
    ],
    ids=str,
)
def test_number_of_shifts(sizes: list[int], expected: int) -> None:
    assert number_of_shifts([["module"] * size for size in sizes]) == expected


@pytest.mark.parametrize(("size", "shifts"), [(12, 11), (32, 12), (13, 12), (6, 5), (3, 11), (2, 4), (1, 3), (5, 0)])
def test_every_module_is_met_once_and_never_by_its_own(size: int, shifts: int) -> None:
    meets = partners(size, shifts)
    assert meets.shape == (shifts + 1, size)
    np.testing.assert_array_equal(np.sort(meets, axis=1), np.tile(np.arange(size), (shifts + 1, 1)))
    np.testing.assert_array_equal(meets[0], np.arange(size))
    if size > 1:
        assert (meets[1:] != np.arange(size)).all()
    distinct = {tuple(row) for row in meets[1:]}
    assert len(distinct) == min(shifts, max(size - 1, 1))
