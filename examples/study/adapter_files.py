"""An adapter on disk, as PEFT reads it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor

from .files import whole_folder

STORED = torch.float16  # half the size; rounding moves a task vector by 3e-4 of its length


def save_adapter(config: LoraConfig, base: str, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Two files, without the model card that `save_pretrained` adds; the same bytes every time."""
    config = copy.deepcopy(config)
    config.base_model_name_or_path = base  # peft puts the folder of the study there
    config.inference_mode = True
    config.target_modules = sorted(config.target_modules or ())  # a set, whose order changes from run to run
    with whole_folder(folder) as partial:
        config.save_pretrained(str(partial))
        stored = {name: tensor.to(STORED).contiguous() for name, tensor in tensors.items()}
        save_file(stored, partial / "adapter_model.safetensors", metadata={"format": "pt"})
