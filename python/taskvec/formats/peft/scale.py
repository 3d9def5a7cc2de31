"""How PEFT scales B·A: alpha / r, or alpha / √r, per module."""

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
    alpha: float
    source: str
    warnings: tuple[str, ...] = ()


def scales(config: PeftConfig, ranks: Mapping[str, int]) -> dict[str, Scale]:
    """The scale of every module from its path and the rank of its tensors.

    Where the config gives a module another rank than its tensors have, the tensors decide, and a warning says that the
    alpha may belong to another rank too.
    """
    paths = list(ranks)
    # PEFT asks with the path of the module it wrapped: the parent, for a layer inside it
    keys = [path.split(".base_layer.")[0] for path in paths]
    rank_keys = first_matches(list(config.rank_pattern), keys, config.path)
    alpha_keys = first_matches(list(config.alpha_pattern), keys, config.path)
    return {
        path: _scale(config, ranks[path], rank_key, alpha_key)
        for path, rank_key, alpha_key in zip(paths, rank_keys, alpha_keys, strict=True)
    }


def _scale(config: PeftConfig, rank: int, rank_key: str | None, alpha_key: str | None) -> Scale:
    expected = config.rank if rank_key is None else config.rank_pattern[rank_key]
    alpha = config.alpha if alpha_key is None else config.alpha_pattern[alpha_key]
    source = f"{'alpha' if alpha_key is None else 'alpha_pattern'}/{'sqrt(r)' if config.use_rslora else 'r'}"
    value = alpha / (math.sqrt(rank) if config.use_rslora else rank)
    if rank == expected:
        return Scale(value, alpha, source)
    says = f"its tensors have rank {rank}, {config.path.name} says {expected}"
    warning = f"{says}: scaled by the tensors' rank, but alpha may differ too"
    return Scale(value, alpha, f"{source} (r of the tensors)", (warning,))
