"""layer_replication: a model of copied layers, whose numbers are not those of its base."""

from __future__ import annotations

import re
from typing import Any

from ...paths import layer_and_kind
from .config import PeftConfig

MOST_LAYERS = 10_000
COPY = "layer_replication: a layer that its base does not have under this number, so named apart"


def named_apart(path: str, config: PeftConfig) -> str:
    """The path of a module of a model of copied layers: as it is where the base has the same layer under this number.

    A layer of another number is a copy, or moved by copies: a prefix says which model it is a layer of, so that it is
    compared with the same layer of such models alone.
    """
    if of_base(path, config) == path:
        return path
    ranges = "_".join(f"{start}-{stop}" for start, stop in config.document["layer_replication"])
    return f"replicated_{ranges}.{path}"


def of_base(path: str, config: PeftConfig) -> str:
    """The module of the base that the one at ``path`` is a copy of.

    Raises:
        TaskvecError: layer_replication is no list of ranges.
    """
    layers = _layers(config)
    layer, _ = layer_and_kind(path)
    if layer is None or layer >= len(layers):
        return path
    return re.sub(rf"(^|\.){layer}\.", rf"\g<1>{layers[layer]}.", path, count=1)


def _layers(config: PeftConfig) -> list[int]:
    """For each layer of the model the base's; none where no layer is copied."""
    value: Any = config.document.get("layer_replication") or []
    layers: list[int] = []
    for item in value if isinstance(value, list) else [None]:
        pair = item if isinstance(item, list) and len(item) == 2 and all(type(end) is int for end in item) else [0, 0]
        if not 0 <= pair[0] < pair[1] <= MOST_LAYERS or len(layers) > MOST_LAYERS:
            raise config.wrong("layer_replication", value, "ranges of layers, [[start, stop], ...]")
        layers += range(*pair)
    return layers
