"""PEFT methods that are refused, each with the true reason."""

from __future__ import annotations

from pathlib import Path

from ...errors import TaskvecError

NO_SINGLE = "there is no single update"
NO_WEIGHT = "it changes no weight"

REASONS = {
    "LILY": f"Lily mixes adapters over layers: {NO_SINGLE}",
    "POLY": f"Poly mixes adapters by task: {NO_SINGLE}",
    "XLORA": f"X-LoRA mixes adapters by the input: {NO_SINGLE}",
    "LN_TUNING": "LN tuning trains vectors: there is no matrix to compare",
    "BEFT": "BEFT trains biases: there is no matrix to compare",
    "FOURIERFT": "FourierFT draws its frequencies from a random generator: they are not in the file",
    "WAVEFT": "WaveFT draws its coefficients' places from a random generator: they are not in the file",
    "PROMPT_TUNING": f"prompt tuning learns inputs: {NO_WEIGHT}",
    "MULTITASK_PROMPT_TUNING": f"multitask prompt tuning learns inputs: {NO_WEIGHT}",
    "P_TUNING": f"P-tuning learns inputs: {NO_WEIGHT}",
    "PREFIX_TUNING": f"prefix tuning learns keys and values: {NO_WEIGHT}",
    "ADAPTION_PROMPT": f"adaption prompts are learned inputs of attention: {NO_WEIGHT}",
    "CPT": f"CPT learns inputs: {NO_WEIGHT}",
    "CARTRIDGE": f"a cartridge is learned keys and values: {NO_WEIGHT}",
    "SHADOW": f"Shadow runs a module of its own beside the model: {NO_WEIGHT}",
}


def refusal(peft_type: str, where: Path) -> TaskvecError:
    """The error for a method that is not read."""
    reason = REASONS.get(peft_type)
    if reason is None:
        what = "is of a method that is not known: peft_type"
        return TaskvecError(what, where=where, got=repr(peft_type)[:60], fix="leave it out, or update taskvec")
    return TaskvecError(f"is an adapter of peft_type {peft_type}: {reason}", where=where, fix="leave it out")
