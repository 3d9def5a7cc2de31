"""JSON documents: strict, so that every reader takes them."""

from __future__ import annotations

import math
from typing import Any


def null_for_nan(value: Any) -> Any:
    """``value`` for JSON: NaN and infinities as None, tuples as lists."""
    if isinstance(value, dict):
        return {key: null_for_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [null_for_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
