"""How PEFT scales an update: alpha / r, or alpha / √r, per module."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .config import PeftConfig
from .patterns import first_matches


@dataclass(frozen=True)
class Scale:
    """The factor before B·A of one module and where it comes from."""

    value: float
    alpha: float | None
    source: str
    warnings: tuple[str, ...] = ()


UNSCALED = Scale(1.0, None, "1: the method has no scale")


def scales(
    config: PeftConfig,
    ranks: Mapping[str, int | None],
    alpha: str,
    *,
    root: bool = False,
    tensors: Mapping[str, float] | None = None,
    beside: str | None = None,
) -> dict[str, Scale]:
    """The scale of every module from its path and the rank of its tensors, or the config's where that is None.

    Where the config gives a module another rank than its tensors have, the tensors decide, and a warning says that the
    alpha may belong to another rank too. An alpha in a tensor beside the factors overrules the config.

    Args:
        config: r, the field ``alpha``, and their patterns.
        ranks: by path, as the file has it.
        alpha: the config's field.
        root: alpha / √r.
        tensors: alphas that are in the file.
        beside: a field whose rank counts too.
    """
    paths = list(ranks)
    # PEFT asks with the path of the module it wrapped: the parent, for a layer inside it
    keys = [path.split(".base_layer.")[0] for path in paths]
    rank, rank_pattern = config.rank("r"), config.ranks("rank_pattern")
    all_alpha, alpha_pattern = config.number(alpha), config.numbers("alpha_pattern")
    rank_keys = first_matches(list(rank_pattern), keys, config.path)
    alpha_keys = first_matches(list(alpha_pattern), keys, config.path)
    found = {}
    for path, rank_key, alpha_key in zip(paths, rank_keys, alpha_keys, strict=True):
        expected = rank if rank_key is None else rank_pattern[rank_key]
        value, source = (all_alpha, "alpha") if alpha_key is None else (alpha_pattern[alpha_key], "alpha_pattern")
        if tensors and path in tensors:
            value, source = tensors[path], "alpha tensor"
        expected += config.count(beside) if beside else 0
        found[path] = _scale(value, source, ranks[path], expected, root, config.path.name)
    return found


def _scale(alpha: float, source: str, rank: int | None, expected: int, root: bool, config: str) -> Scale:
    source = f"{source}/{'sqrt(r)' if root else 'r'}"
    used = expected if rank is None else rank
    value = alpha / (math.sqrt(used) if root else used)
    if used == expected or source.startswith("alpha tensor"):
        return Scale(value, alpha, source)
    says = f"its tensors have rank {rank}, {config} says {expected}"
    warning = f"{says}: scaled by the tensors' rank, but alpha may differ too"
    return Scale(value, alpha, f"{source} (r of the tensors)", (warning,))
