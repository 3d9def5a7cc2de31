"""Attention heads: how many there are, from the person or the base model's config.json."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import TaskvecError
from ..hub import cached
from .reading.files import member, read_json

CONFIG = "config.json"
HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads")
GROUPS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "kv_n_heads", "multi_query_group_num")
MOST_HEADS = 1 << 16


@dataclass(frozen=True)
class Heads:
    """n query heads and g key-value heads; None where it is not known.

    Args:
        n: query heads.
        g: key-value heads; None: not said.
        model_type: what the base's config calls the architecture, "" without one.
        runs: for modules whose rows are the same runs again and again, the runs' lengths, by the module's last name.
    """

    n: int
    g: int | None = None
    model_type: str = ""
    runs: tuple[tuple[str, tuple[int, ...]], ...] = ()


# of both sizes; its experts' rows are laid out as no other model's are
GPT_OSS = Heads(64, 8, "gpt_oss")


def parse_heads(text: str) -> Heads:
    """``n`` or ``n,g`` as people type it."""
    numbers = text.split(",")
    if len(numbers) in (1, 2) and all(part.strip().isdecimal() and 0 < int(part) <= MOST_HEADS for part in numbers):
        n, g = int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else None
        if g is None or n % g == 0:
            return Heads(n, g)
    raise TaskvecError("--heads is not usable", got=repr(text)[:40], expected="n, or n,g with n a multiple of g")


@cache
def heads_of_base(base: str | None) -> Heads | None:
    """Heads from the config.json of a base model that is a folder or in the Hugging Face cache; nothing is fetched.

    None where there is none, or it does not say; gpt-oss is known by its name.
    """
    path = None if base is None else _config_of(base)
    if path is None:
        return GPT_OSS if base is not None and re.search("gpt[-_]oss", base, re.IGNORECASE) else None
    try:
        document: Mapping[str, Any] = read_json(path)
    except TaskvecError:
        return None
    inner = document.get("text_config")
    if isinstance(inner, dict):
        document = {**document, **inner}
    n, g = _first(document, HEADS), _first(document, GROUPS)
    if n is None:
        return None
    kind = document.get("model_type")
    if kind in ("falcon", "gpt_bigcode") and not document.get("new_decoder_architecture"):
        g = 1 if document.get("multi_query", True) else n
    attention = document.get("attn_config")
    if g is None and isinstance(attention, dict):
        g = _first(attention, GROUPS)
    return Heads(n, n if g is None else g, kind if isinstance(kind, str) else "", tuple(_runs(document)))


def _runs(document: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The runs of rows of DeepSeek's kv_b_proj, head by head, and of Qwen3-Next's linear attention, by key heads."""
    fields = ("qk_nope_head_dim", "v_head_dim", "linear_key_head_dim", "linear_value_head_dim")
    key, value, linear_key, linear_value = (_first(document, (field,)) for field in fields)
    keys, values = (_first(document, (f"linear_num_{kind}_heads",)) for kind in ("key", "value"))
    if key and value:
        yield "kv_b_proj", (key, value)
    if linear_key and linear_value and keys and values:
        per_key = values // keys
        yield "in_proj_qkvz", (linear_key, linear_key, per_key * linear_value, per_key * linear_value)
        yield "in_proj_ba", (per_key, per_key)


def _first(document: Mapping[str, Any], fields: tuple[str, ...]) -> int | None:
    found = (document.get(field) for field in fields)
    return next((value for value in found if type(value) is int and 0 < value <= MOST_HEADS), None)


def _config_of(base: str) -> Path | None:
    try:
        if Path(base).is_dir():
            return member(Path(base), CONFIG)
    except (OSError, ValueError, TaskvecError):
        return None
    return cached(base, CONFIG)
