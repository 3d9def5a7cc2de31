"""The PEFT methods that are read, by peft_type."""

from __future__ import annotations

from collections.abc import Mapping

from .lora import LORA
from .method import Method

METHODS: Mapping[str, Method] = {
    "LORA": LORA,
}
