"""adapter_config.json: the few fields that decide what B·A means, checked; every other field is ignored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...errors import TaskvecError, printable
from ..reading.files import read_json

T = TypeVar("T", int, float)

RESTORE = "restore the adapter_config.json that the adapter was saved with"
# variants of LoRA whose update is not scale · B · A of the tensors in the file
VARIANTS = ("use_qalora", "use_bdlora", "kasa_config", "monteclora_config")
# initialisations that start from B·A ≠ 0 and take it off the base weight
SHIFTED_STARTS = ("pissa", "olora", "corda", "loftq", "lora_ga")


@dataclass(frozen=True)
class PeftConfig:
    """What an adapter's config says of its scale and of the meaning of its factors."""

    path: Path
    rank: int
    alpha: float
    use_rslora: bool
    use_dora: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    base_model: str | None
    target_parameters: tuple[str, ...]
    warnings: tuple[str, ...]  # true of every module


def read_config(path: Path) -> PeftConfig:
    """Read and check ``adapter_config.json``.

    Raises:
        TaskvecError: not LoRA, a variant whose update is not B·A, r or lora_alpha missing, a field of the wrong type.
    """
    config = read_json(path)
    peft_type = config.get("peft_type")
    if peft_type != "LORA":
        what, got = "is not the config of a LoRA adapter: peft_type", repr(peft_type)[:60]
        fix = "leave it out: only LoRA has factors to compare" if peft_type else RESTORE
        raise TaskvecError(what, where=path, got=got, expected="'LORA'", fix=fix)
    for variant in VARIANTS:
        if config.get(variant):
            what = f"describes a LoRA variant ({variant}) whose update is not B·A"
            raise TaskvecError(what, where=path, fix="merge it into its base and extract a plain LoRA")
    base_model = config.get("base_model_name_or_path")
    return PeftConfig(
        path=path,
        rank=_rank(path, "r", config.get("r")),
        alpha=_alpha(path, "lora_alpha", config.get("lora_alpha")),
        use_rslora=_flag(path, "use_rslora", config),
        use_dora=_flag(path, "use_dora", config),
        rank_pattern=_table(path, "rank_pattern", config, _rank),
        alpha_pattern=_table(path, "alpha_pattern", config, _alpha),
        base_model=printable(base_model) if isinstance(base_model, str) and base_model else None,
        target_parameters=_names(path, "target_parameters", config),
        warnings=tuple(_warnings(config)),
    )


def _warnings(config: dict[str, Any]) -> list[str]:
    warnings = []
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(SHIFTED_STARTS):
        warnings.append(f"initialised by {printable(start)}: B·A also holds what was taken off the base weight")
    if config.get("alora_invocation_tokens"):
        warnings.append("activated LoRA: the update applies only after its invocation tokens")
    return warnings


def _rank(path: Path, field: str, value: Any) -> int:
    if type(value) is int and value > 0:
        return value
    raise _wrong(path, field, value, "a positive integer")


def _alpha(path: Path, field: str, value: Any) -> float:
    if type(value) in (int, float) and math.isfinite(value):
        return float(value)
    raise _wrong(path, field, value, "a number")


def _flag(path: Path, field: str, config: dict[str, Any]) -> bool:
    value = config.get(field)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _wrong(path, field, value, "true or false")


def _table(path: Path, field: str, config: dict[str, Any], check: Callable[[Path, str, Any], T]) -> dict[str, T]:
    value = config.get(field)
    if value is None or isinstance(value, dict):
        return {key: check(path, f"{field}[{key!r}]", item) for key, item in (value or {}).items()}
    raise _wrong(path, field, value, "an object")


def _names(path: Path, field: str, config: dict[str, Any]) -> tuple[str, ...]:
    value = config.get(field)
    if value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return tuple(value or ())
    raise _wrong(path, field, value, "a list of names")


def _wrong(path: Path, field: str, value: Any, expected: str) -> TaskvecError:
    got = "nothing" if value is None else repr(value)[:60]
    return TaskvecError(f"{field} is not usable", where=path, got=got, expected=expected, fix=RESTORE)
