"""The PEFT methods that are read, by peft_type."""

from __future__ import annotations

from collections.abc import Mapping

from .banks import PVERA, RANDLORA, TINYLORA, UNILORA, VBLORA, VERA
from .blocks import BONE, C3A, MISS, SHIRA, SUPERTUNING
from .factored import ADALORA, DELORA, GRALORA
from .lora import LORA
from .method import Method
from .on_base import GLORA, HIRA, HRA, IA3, OFT, ROAD, TOKENS
from .products import LOHA, LOKR

METHODS: Mapping[str, Method] = {
    "ADALORA": ADALORA,
    "BONE": BONE,
    "C3A": C3A,
    "DELORA": DELORA,
    "GLORA": GLORA,
    "GRALORA": GRALORA,
    "HIRA": HIRA,
    "HRA": HRA,
    "IA3": IA3,
    "LOHA": LOHA,
    "LOKR": LOKR,
    "LORA": LORA,
    "MISS": MISS,
    "OFT": OFT,
    "PVERA": PVERA,
    "RANDLORA": RANDLORA,
    "ROAD": ROAD,
    "SHIRA": SHIRA,
    "SUPERTUNING": SUPERTUNING,
    "TINYLORA": TINYLORA,
    "TRAINABLE_TOKENS": TOKENS,
    "UNILORA": UNILORA,
    "VBLORA": VBLORA,
    "VERA": VERA,
}
