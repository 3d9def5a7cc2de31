"""The PEFT methods that are read, by peft_type."""

from __future__ import annotations

from collections.abc import Mapping

from .banks import PVERA, RANDLORA, TINYLORA, UNILORA, VBLORA, VERA
from .blocks import BONE, C3A, MISS, SHIRA, SUPERTUNING
from .factored import ADALORA, DELORA, GRALORA
from .lora import LORA
from .method import Method
from .products import LOHA, LOKR

METHODS: Mapping[str, Method] = {
    "ADALORA": ADALORA,
    "BONE": BONE,
    "C3A": C3A,
    "DELORA": DELORA,
    "GRALORA": GRALORA,
    "LOHA": LOHA,
    "LOKR": LOKR,
    "LORA": LORA,
    "MISS": MISS,
    "PVERA": PVERA,
    "RANDLORA": RANDLORA,
    "SHIRA": SHIRA,
    "SUPERTUNING": SUPERTUNING,
    "TINYLORA": TINYLORA,
    "UNILORA": UNILORA,
    "VBLORA": VBLORA,
    "VERA": VERA,
}
