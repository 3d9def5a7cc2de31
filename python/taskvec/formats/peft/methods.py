"""The PEFT methods that are read, by peft_type."""

from __future__ import annotations

from collections.abc import Mapping

from .banks import PVERA, RANDLORA, TINYLORA, UNILORA, VBLORA, VERA
from .blocks import BONE, C3A, MISS, SHIRA, SUPERTUNING
from .factored import ADALORA, DELORA, GRALORA
from .lora import LORA
from .method import Method
from .on_base import GLORA, HIRA, IA3, TOKENS
from .products import LOHA, LOKR
from .rotations import BOFT, HRA, OFT, ROAD
from .subspaces import ADAMSS, DEFT, FROD, OSF, PEANUT, PSOFT

METHODS: Mapping[str, Method] = {
    "ADALORA": ADALORA,
    "ADAMSS": ADAMSS,
    "BOFT": BOFT,
    "BONE": BONE,
    "C3A": C3A,
    "DEFT": DEFT,
    "DELORA": DELORA,
    "FROD": FROD,
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
    "OSF": OSF,
    "PEANUT": PEANUT,
    "PSOFT": PSOFT,
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
