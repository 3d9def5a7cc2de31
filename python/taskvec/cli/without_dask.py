"""Keeping dask out of a command that needs none: xarray imports it, where it is installed, to ask of every array
whether it is dask's, which takes 0.3 s."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast


def leave_out_dask() -> None:
    """``import dask`` fails from now on. For a process of our own."""
    sys.modules.setdefault("dask", cast(ModuleType, None))


def let_dask_in() -> None:
    """Undo ``leave_out_dask``, for a cluster."""
    if "dask" in sys.modules and sys.modules["dask"] is None:
        del sys.modules["dask"]
