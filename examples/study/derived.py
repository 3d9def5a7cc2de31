"""Adapters that are made of trained ones: merges, and longer task vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file

from .adapter_files import save_adapter
from .plan import Merged, Scaled


def merge(base: Any, name: str, adapter: Merged, folder: Path) -> None:
    """The sum of two task vectors by peft: their factors side by side, or an SVD of the sum cut to a rank."""
    first, second = (folder / part for part in adapter.parts)
    model = PeftModel.from_pretrained(base, first, adapter_name="first")
    model.load_adapter(second, adapter_name="second")
    kind = {"combination_type": "cat"} if adapter.cut is None else {"combination_type": "svd", "svd_rank": adapter.cut}
    model.add_weighted_adapter(["first", "second"], [1.0, 1.0], "merged", **kind)
    tensors = get_peft_model_state_dict(model, adapter_name="merged", save_embedding_layers=False)
    save_adapter(model.peft_config["merged"], name, tensors, folder / adapter.name)
    model.unload()


def scale(name: str, adapter: Scaled, folder: Path) -> None:
    """B times the factor, A and alpha as they were."""
    config = LoraConfig.from_pretrained(str(folder / adapter.of))
    tensors = load_file(folder / adapter.of / "adapter_model.safetensors")
    longer = {name: tensor * adapter.factor if "lora_B" in name else tensor for name, tensor in tensors.items()}
    save_adapter(config, name, longer, folder / adapter.name)
