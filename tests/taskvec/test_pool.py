"""Memory that is used again: never while something looks at it."""

from __future__ import annotations

import gc

import numpy as np
import torch

from taskvec.store.pool import Pool


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_comes_back_when_the_last_view_is_gone() -> None:
    pool = Pool()
    whole = pool.empty((4, 25))
    at = address(whole)
    held = [whole, whole[1:, ::2], torch.from_numpy(whole).mT, torch.from_numpy(whole)[2:].numpy()]
    del whole
    while held:
        assert address(pool.empty((4, 25))) != at
        held.pop(0)
        gc.collect()
    again = [pool.empty((2, 40)) for _ in range(2)]
    assert at in map(address, again)


def test_what_fits_nothing_is_given_up() -> None:
    pool = Pool()
    for size in (10, 1000, 10, 100_000):
        pool.empty((size,))
        gc.collect()
    assert sum(map(len, pool._free)) == 100_000
