"""Tensor names of a PEFT file, sorted into the tensors of modules, those of the whole file, and what is neither."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ...adapters import LeftOut
from ...errors import TaskvecError
from ...paths import unwrapped
from .method import Method

# tensors that other tools put beside PEFT's factors
BESIDE = {"alpha": "alpha", "dora_scale": "lora_magnitude_vector"}


@dataclass
class ModuleTensors:
    """The tensors of one module: their names in the file by role (lora_A, lora_magnitude_vector, ...)."""

    path: str  # with .base_layer, as the file has it
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sorted:
    """The tensors of a file."""

    modules: tuple[ModuleTensors, ...]  # by path
    shared: Mapping[str, str]  # role → name of what all modules use
    left_out: tuple[LeftOut, ...]


def sort_tensors(names: Iterable[str], method: Method, where: Path) -> Sorted:
    """The tensors of a file by module, and the rest with a reason.

    Raises:
        TaskvecError: two tensors for the same role, which is what two adapters in one file look like, or a tensor
            that may belong to the update and that no rule knows.
    """
    try:
        return _sorted(tuple(names), method)
    except TaskvecError as error:
        error.where = where
        raise


@lru_cache(maxsize=32)  # the files of a zoo often have the same names
def _sorted(names: tuple[str, ...], method: Method) -> Sorted:
    modules: dict[str, ModuleTensors] = {}
    shared: dict[str, str] = {}
    left_out, beside = [], []
    for name in sorted(names):
        key = _split(name, method)
        if key is None:
            beside.append(name)
        elif key.role in method.training_only:
            left_out.append(LeftOut(name, "used in training only: the client's update does not contain it"))
        elif key.is_bias:
            left_out.append(LeftOut(name, "bias of a factor (lora_bias): changes the module's bias, not its weight"))
        elif key.role.partition(".")[0] in method.shared and key.path in ("", "base_model"):
            _put(shared, key.role, name)
        elif _is_of_module(key.role, method) and key.path:
            _put(modules.setdefault(key.path, ModuleTensors(key.path)).names, key.role, name)
        elif key.role in method.shared:
            left_out.append(LeftOut(name, "a copy of what all modules share"))
        else:
            raise _unknown(name)
    for name in beside:
        path, _, last = name.removesuffix(".weight").rpartition(".")
        module = modules.get(unwrapped(path))
        if module is not None and last in BESIDE:
            if BESIDE[last] not in method.roles:
                raise _unknown(name)
            _put(module.names, BESIDE[last], name)
        else:
            left_out.append(LeftOut(name, _reason(name)))
    return Sorted(tuple(modules[path] for path in sorted(modules)), shared, tuple(left_out))


def plain_path(path: str) -> str:
    """The path of the module itself, without the layers of .base_layer that PEFT wraps it in."""
    return path.replace(".base_layer", "")


@dataclass(frozen=True)
class _Key:
    path: str
    role: str
    is_bias: bool


def _split(name: str, method: Method) -> _Key | None:
    """PATH.ROLE[.ADAPTER][.weight|.bias], None for a tensor that is not of the method."""
    parts = name.split(".")
    at = max((i for i, part in enumerate(parts) if part in method.known), default=None)
    while at and parts[at - 1] in method.known:  # an adapter may have the name of a role
        at -= 1
    if at is None:
        strange = next((part for part in parts[1:] if part.startswith(method.prefix)), None)
        if strange is None:
            return None
        return _Key(unwrapped(".".join(parts[: parts.index(strange)])), strange, is_bias=False)
    role = parts[at]
    if role in method.numbered:
        role = f"{role}.{_number(parts[at + 1 :])}"
    return _Key(unwrapped(".".join(parts[:at])), role, is_bias=parts[-1] == "bias" and at < len(parts) - 1)


def _number(rest: list[str]) -> str:
    """Which of several tensors of one role: the number in the rest of a name, else its last word."""
    return next((part for part in rest if part.isdecimal()), rest[-1] if rest else "")


def _is_of_module(role: str, method: Method) -> bool:
    """Whether a module has tensors of this role, or of any number of it."""
    kind, _, number = role.partition(".")
    return role in method.roles or (kind in method.roles and number.isdecimal())


def _put(names: dict[str, str], role: str, name: str) -> None:
    if role in names:
        got = f"{names[role]!r} and {name!r}"
        fix = "save each adapter to a file of its own"
        raise TaskvecError(f"has two {role} for one module", got=got, fix=fix)
    names[role] = name


def _unknown(name: str) -> TaskvecError:
    what = f"has {name}, a tensor that is not known: it may change what the update is"
    return TaskvecError(what, fix="merge it into its base and extract a plain LoRA")


def _reason(name: str) -> str:
    if name.endswith(".bias"):
        return "bias: trained or saved beside the factors, not low-rank"
    if "trainable_tokens_delta" in name:
        return "rows that replace those of the embedding (trainable tokens): no update without the base weights"
    return "not a LoRA factor: a whole tensor, as modules_to_save and resized embeddings give"
