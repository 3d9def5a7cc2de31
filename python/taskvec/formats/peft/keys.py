"""Tensor names of a PEFT file, sorted into the factors of modules and what is no factor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...adapters import LeftOut
from ...errors import TaskvecError

WRAPPER = "base_model.model."
FACTORS = ("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B")
MAGNITUDE = "lora_magnitude_vector"


@dataclass
class LoraTensors:
    """The LoRA tensors of one module: their names in the file by role (lora_A, lora_magnitude_vector, ...)."""

    path: str  # with .base_layer, as the file has it
    names: dict[str, str] = field(default_factory=dict)

    @property
    def variant(self) -> str | None:
        """A role that plain LoRA does not have: the update is not B·A."""
        return next((role for role in self.names if role not in (*FACTORS, MAGNITUDE)), None)


def lora_tensors(names: Iterable[str], where: Path) -> tuple[list[LoraTensors], list[LeftOut]]:
    """The tensors of a file by module, sorted by path; the rest is left out with a reason.

    Raises:
        TaskvecError: two tensors for the same factor, which is what two adapters in one file look like.
    """
    modules: dict[str, LoraTensors] = {}
    left_out = []
    for name in sorted(names):
        key = _split(name)
        if key is None or key.is_bias:
            left_out.append(LeftOut(name, _reason(name, key is not None)))
            continue
        names_of = modules.setdefault(key.path, LoraTensors(key.path)).names
        if key.role in names_of:
            got = f"{names_of[key.role]!r} and {name!r}"
            fix = "save each adapter to a file of its own"
            raise TaskvecError(f"has two {key.role} for one module", where=where, got=got, fix=fix)
        names_of[key.role] = name
    return [modules[path] for path in sorted(modules)], left_out


@dataclass(frozen=True)
class _Key:
    path: str
    role: str
    is_bias: bool


def _split(name: str) -> _Key | None:
    """PATH.ROLE[.ADAPTER][.weight|.bias], None for a tensor that is not LoRA's."""
    parts = name.split(".")
    at = next((i for i in range(len(parts) - 1, 0, -1) if parts[i].startswith("lora_")), None)
    if at is None:
        return None
    path = ".".join(parts[:at])
    while path.startswith(WRAPPER):
        path = path[len(WRAPPER) :]
    return _Key(path, parts[at], is_bias=parts[-1] == "bias" and at < len(parts) - 1)


def _reason(name: str, lora: bool) -> str:
    if lora:
        return "bias of a factor (lora_bias): changes the module's bias, not its weight"
    if name.endswith(".bias"):
        return "bias: trained or saved beside the factors, not low-rank"
    return "not a LoRA factor: a whole tensor, as modules_to_save and resized embeddings give"
