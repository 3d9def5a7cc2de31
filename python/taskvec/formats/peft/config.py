"""adapter_config.json: the fields that decide an update, checked when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...errors import TaskvecError, printable
from ..reading.files import read_json

T = TypeVar("T")

RESTORE = "restore the adapter_config.json that the adapter was saved with"


@dataclass(frozen=True)
class PeftConfig:
    """A config; every accessor raises ``TaskvecError`` for a field that is not what it has to be."""

    path: Path
    type: str  # peft_type in upper case
    document: Mapping[str, Any]

    @property
    def base_model(self) -> str | None:
        """What the config calls the base model."""
        name = self.document.get("base_model_name_or_path")
        return printable(name) if isinstance(name, str) and name else None

    def rank(self, field: str) -> int:
        """A positive integer."""
        return self._rank(field, self.document.get(field))

    def count(self, field: str) -> int:
        """An integer from 0 on; 0 without the field."""
        value = self.document.get(field)
        return 0 if value in (None, 0) else self._rank(field, value)

    def number(self, field: str) -> float:
        """A finite number."""
        return self._number(field, self.document.get(field))

    def flag(self, field: str) -> bool:
        """True or false; false without the field."""
        value = self.document.get(field)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.wrong(field, value, "true or false")

    def ranks(self, field: str) -> dict[str, int]:
        """Positive integers by name; none without the field."""
        return self._table(field, self._rank)

    def numbers(self, field: str) -> dict[str, float]:
        """Finite numbers by name; none without the field."""
        return self._table(field, self._number)

    def names(self, field: str) -> tuple[str, ...]:
        """A list of names; none without the field."""
        value = self.document.get(field)
        if value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            return tuple(value or ())
        raise self.wrong(field, value, "a list of names")

    def wrong(self, field: str, value: Any, expected: str) -> TaskvecError:
        """The error for a field of another kind."""
        got = "nothing" if value is None else repr(value)[:60]
        return TaskvecError(f"{field} is not usable", where=self.path, got=got, expected=expected, fix=RESTORE)

    def _rank(self, field: str, value: Any) -> int:
        if type(value) is int and 0 < value < 1 << 31:
            return value
        raise self.wrong(field, value, "a positive integer")

    def _number(self, field: str, value: Any) -> float:
        if type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value):
            return float(value)
        raise self.wrong(field, value, "a number")

    def _table(self, field: str, check: Callable[[str, Any], T]) -> dict[str, T]:
        value = self.document.get(field)
        if value is None or isinstance(value, dict):
            return {key: check(f"{field}[{key!r}]", item) for key, item in (value or {}).items()}
        raise self.wrong(field, value, "an object")


def read_config(path: Path) -> PeftConfig:
    """Read ``adapter_config.json``.

    Raises:
        TaskvecError: no JSON object, or no peft_type in it.
    """
    document = read_json(path)
    peft_type = document.get("peft_type")
    if not isinstance(peft_type, str) or not peft_type:
        what, got = "is not the config of a PEFT adapter: peft_type", repr(peft_type)[:60]
        raise TaskvecError(what, where=path, got=got, expected="'LORA' or another method", fix=RESTORE)
    return PeftConfig(path, peft_type.upper(), document)
