"""Memory that goes back to the system."""

from __future__ import annotations

import sys

import pytest

from ..helpers.fresh import python

# arrays of 4 MiB, each with a small one after it that stays, once glibc has seen larger ones freed
SCRIPT = """
import sys
import numpy as np
from taskvec.heap import free_large

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024

if sys.argv[1] == "large":
    free_large()
    free_large()  # again is harmless
del (first := [np.ones(2**24, np.uint8)])[0]
before = anonymous()
arrays = [(np.ones(2**22, np.uint8), np.ones(2**12, np.uint8)) for _ in range(30)]
small = [one for _, one in arrays]
del arrays
print(anonymous() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_memory_of_large_arrays_goes_back_when_they_are_freed() -> None:
    kept, given_back = (float(python("-c", SCRIPT, how).stdout) for how in ("-", "large"))
    assert given_back < 4
    if kept < 100:
        pytest.skip("this C library gives it back anyway")
