"""How PEFT scales an update: alpha / r, or alpha / √r, per module."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .config import PeftConfig
from .patterns import all_matches


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
    rank_keys = all_matches(list(rank_pattern), keys, config.path)
    alpha_keys = all_matches(list(alpha_pattern), keys, config.path)
    found: dict[str, Scale] = {}
    plain: dict[int | None, Scale] = {}  # of modules that nothing is said of, by rank
    for path, of_rank, of_alpha in zip(paths, rank_keys, alpha_keys, strict=True):
        is_plain = not of_rank and not of_alpha and not (tensors and path in tensors)
        if is_plain and ranks[path] in plain:
            found[path] = plain[ranks[path]]
            continue
        expected = rank_pattern[of_rank[0]] if of_rank else rank
        value, source = (alpha_pattern[of_alpha[0]], "alpha_pattern") if of_alpha else (all_alpha, "alpha")
        warnings = several("alpha_pattern", of_alpha, alpha_pattern)
        if tensors and path in tensors:
            value, source, warnings = tensors[path], "alpha tensor", ()
        expected += config.count(beside) if beside else 0
        scale = _scale(value, source, ranks[path], expected, root, config.path.name)
        found[path] = replace(scale, warnings=(*scale.warnings, *warnings)) if warnings else scale
        if is_plain:
            plain[ranks[path]] = scale
    return found


def several(field: str, keys: Sequence[str], values: Mapping[str, float]) -> tuple[str, ...]:
    """A warning where several keys of a pattern match a module and differ: sorted ones do not tell which counted."""
    if list(values) != sorted(values):
        return ()
    used = values[keys[0]] if keys else None
    other = next((key for key in keys if values[key] != used), None)
    if other is None:
        return ()
    says = f"{field} matches it by {keys[0]!r} ({used:g}) and by {other!r} ({values[other]:g})"
    return (f"{says}: the first is taken, but PEFT sorts them when it saves, and may have trained with the other",)


def _scale(alpha: float, source: str, rank: int | None, expected: int, root: bool, config: str) -> Scale:
    source = f"{source}/{'sqrt(r)' if root else 'r'}"
    used = expected if rank is None else rank
    value = alpha / (math.sqrt(used) if root else used)
    if used == expected or source.startswith("alpha tensor"):
        return Scale(value, alpha, source)
    says = f"its tensors have rank {rank}, {config} says {expected}"
    warning = f"{says}: scaled by the tensors' rank, but alpha may differ too"
    return Scale(value, alpha, f"{source} (r of the tensors)", (warning,))
