"""From a module's tensors to its factors B (m, r) and A (r, n), or the reason why it has none."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...adapters import LowRank
from ...errors import TaskvecError
from ..reading.tensors import TensorFile
from .config import PeftConfig
from .keys import LoraTensors

SAVE_AGAIN = "save the adapter again from the model it was trained in"
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
EXPERTS = "factors of bare parameters (target_parameters): one LoRA per expert, not one matrix"


@dataclass(frozen=True)
class Factors:
    """Where the two factors of one module are, and how they become matrices.

    PEFT applies an embedding's update transposed (vocabulary × features); B·A is features × vocabulary, and stays so.
    A convolution's update is ΔW[o, i, h, w] = Σ_r B[o, r] A[r, i, h, w], which is B·A with i, h, w taken as one index.
    """

    file: TensorFile
    b: str
    a: str

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of B and A in the file."""
        return self.file.shapes[self.b], self.file.shapes[self.a]

    def update(self, scale: float) -> LowRank:
        """B (m, r) and A (r, n) as views of the file."""
        return LowRank(self.file.tensor(self.b).flatten(1), self.file.tensor(self.a).flatten(1), scale)

    def check_values(self) -> None:
        """Raise unless every number of both factors is finite. Reads them once."""
        for name in (self.a, self.b):
            tensor = self.file.tensor(name)
            if tensor.dtype not in FLOATS:
                got, expected = str(tensor.dtype), "float64, float32, float16 or bfloat16"
                raise TaskvecError(f"has {name}", where=self.file.path, got=got, expected=expected, fix=SAVE_AGAIN)
            # the extremes pass NaN on and need no temporary
            if not torch.isfinite(torch.stack(tensor.aminmax())).all():
                fix = "train it again, or use an earlier checkpoint"
                raise TaskvecError(f"has NaN or Inf in {name}", where=self.file.path, fix=fix)


def factors(lora: LoraTensors, file: TensorFile, config: PeftConfig) -> Factors | str:
    """The factors of a module, or why its update is not one B·A.

    Raises:
        TaskvecError: a factor without its partner, or shapes that no B·A has.
    """
    if lora.variant is not None:
        return f"part of a LoRA variant ({lora.variant}): the update is not B·A"
    if _is_parameter(lora.path, config.target_parameters):
        return EXPERTS
    b_name, a_name = _partners(lora, file)
    b, a = file.shapes[b_name], file.shapes[a_name]
    if len(a) == 2 and len(b) == 3:
        return "grouped projection of PEFT 0.2 (MergedLinear): one LoRA per part, not one matrix"
    convolution = len(a) == len(b) > 2 and all(size == 1 for size in b[2:])
    if convolution and a[0] != b[1] and b[1] and a[0] % b[1] == 0:
        return "grouped convolution: one LoRA per group, not one matrix"
    if not (convolution or len(a) == len(b) == 2) or a[0] != b[1] or 0 in (*a, *b):
        what, got = "has factors that do not fit", f"{a_name} {_by(a)} and {b_name} {_by(b)}"
        expected = "A (r, n) and B (m, r) of one rank r"
        raise TaskvecError(what, where=file.path, got=got, expected=expected, fix=SAVE_AGAIN)
    return Factors(file, b_name, a_name)


def _partners(lora: LoraTensors, file: TensorFile) -> tuple[str, str]:
    """Names of B and A."""
    names = lora.names
    for kind in ("lora_", "lora_embedding_"):
        b, a = names.get(f"{kind}B"), names.get(f"{kind}A")
        if b is not None and a is not None:
            return b, a
    role, name = next(iter(names.items()))
    missing = {"A": f"{role[:-1]}B", "B": f"{role[:-1]}A"}.get(role[-1], "lora_A and lora_B")
    raise TaskvecError(f"has {name} but no {missing} of that module", where=file.path, fix=SAVE_AGAIN)


def _is_parameter(path: str, target_parameters: tuple[str, ...]) -> bool:
    """Whether the factors at ``path`` are those of a bare parameter, which PEFT wraps in layers of ``.base_layer``."""
    module = "." + path.replace(".base_layer", "")
    owners = ("." + name.rpartition(".")[0] for name in target_parameters)
    return path.endswith(".base_layer") or any(module.endswith(owner) or owner == "." for owner in owners)


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"
