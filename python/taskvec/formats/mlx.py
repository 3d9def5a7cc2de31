"""Adapters of mlx-lm: ``lora_a`` (n, r) and ``lora_b`` (r, m) beside a config with ``lora_parameters.scale``."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Set
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ..adapters import LeftOut
from ..errors import TaskvecError, printable
from .format import GIVE_SCALE, ReadOptions
from .reading.files import member, read_json
from .reading.tensors import TensorFile
from .recipe import SAVE_AGAIN, Recipe
from .single import Content, Piece, SingleFile, needed, put

CONFIG = "adapter_config.json"
ROLES = {"lora_a": "lora_a", "lora_b": "lora_b", "m": "magnitude"}
MOST_EXPERTS = 4096
UNKNOWN_SCALE = "is an adapter in MLX format: its scale is in no file"
FIX = f"restore the {CONFIG} that mlx-lm writes, or {GIVE_SCALE} (the default of mlx-examples is a scale of 20)"


def claims(names: Set[str], beside_peft: bool) -> bool:
    return any(name.endswith((".lora_a", ".lora_b")) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """scale · (a b)ᵀ of layers and embeddings; scale · b a, expert by expert, where the factors are 3-D."""
    config = member(file.path.parent, CONFIG)
    document = {} if config is None else read_json(config)
    scale, source = (1.0, "") if config is None else (_scale(document, config), "scale")
    if config is None and options.alpha is None and options.scale is None:
        raise TaskvecError(UNKNOWN_SCALE, where=file.path, fix=FIX)
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    for name in sorted(file.shapes):
        path, _, last = name.rpartition(".")
        if last in ROLES:
            put(modules[path], ROLES[last], name, file.path)
    used = {name for names in modules.values() for name in names.values()}
    left_out = [LeftOut(name, "no factor of an update") for name in sorted(file.shapes.keys() - used)]
    pieces = []
    for path, names in modules.items():
        magnitude = names.get("magnitude")
        dora = magnitude is not None or document.get("fine_tune_type") == "dora"
        pair = needed(file, names, "lora_b", "lora_a")
        experts = expert_count(file, pair)
        if config is None:
            scale, source = _given(options, file, path, pair)
        for e in range(experts or 1):
            combine = transposed if experts is None else partial(one_expert, e=e)
            recipe = Recipe(file, pair, combine, scale, "a (n, r) and b (r, m), or a (E, r, n) and b (E, m, r)")
            name = path if experts is None else f"{path}[{e}]"
            pieces.append(Piece(name, recipe, source, None, dora=dora, magnitude=magnitude))
    model = document.get("model")
    return Content(
        pieces, left_out, printable(model) if isinstance(model, str) and model else None, (config,) if config else ()
    )


def transposed(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """(a b)ᵀ of a (n, r) and b (r, m)."""
    return b.t(), a.t()


def one_expert(b: Tensor, a: Tensor, e: int) -> tuple[Tensor, Tensor]:
    """b a of expert e, which are not transposed: a (E, r, n), b (E, m, r)."""
    return b[e], a[e]


def _scale(document: dict[str, Any], config: Path) -> float:
    parameters = document.get("lora_parameters")
    scale = parameters.get("scale") if isinstance(parameters, dict) else None
    is_number = isinstance(scale, int | float) and not isinstance(scale, bool) and abs(scale) < 1e300
    if scale is not None and is_number and math.isfinite(scale):
        return float(scale)
    got = "nothing" if scale is None else repr(scale)[:60]
    raise TaskvecError("lora_parameters.scale is not usable", where=config, got=got, expected="a number", fix=FIX)


def _given(options: ReadOptions, file: TensorFile, path: str, pair: tuple[str, ...]) -> tuple[float, str]:
    """The scale that a person gives, of files of mlx-examples, which have no config."""
    given = options.given_scale((0, *file.shapes[pair[1]])[-1], path)
    if given is None:
        raise TaskvecError(f"{UNKNOWN_SCALE}, and none is given for {path}", where=file.path, fix=FIX)
    return given.value, given.source


def expert_count(file: TensorFile, pair: tuple[str, ...]) -> int | None:
    """Number of experts that factors of three dimensions have, None for those of two."""
    b, a = (file.shapes[name] for name in pair)
    if len(a) != 3 or len(b) != 3:
        return None
    if a[0] != b[0] or not 0 < a[0] <= MOST_EXPERTS:
        got, expected = f"{a[0]} and {b[0]} experts", f"one number, from 1 to {MOST_EXPERTS:,}"
        raise TaskvecError(f"has {pair[1]} and {pair[0]}", where=file.path, got=got, expected=expected, fix=SAVE_AGAIN)
    return a[0]


MLX = SingleFile("mlx", claims, content)
