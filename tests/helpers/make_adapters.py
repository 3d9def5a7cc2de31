"""Tiny PEFT adapters on disk, right or wrong in one chosen way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from taskvec.adapters import Dense, Module

CONFIG: dict[str, Any] = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "tiny"}
PREFIX = "base_model.model."
PATHS = ("h.0.q", "h.1.q")


def pair(path: str, *, m: int = 6, n: int = 5, r: int = 2, seed: int = 0, prefix: str = PREFIX) -> dict[str, Tensor]:
    """lora_A (r, n) and lora_B (m, r) of one module under PEFT's names."""
    generator = torch.Generator().manual_seed(seed)
    return {
        f"{prefix}{path}.lora_A.weight": torch.randn(r, n, generator=generator),
        f"{prefix}{path}.lora_B.weight": torch.randn(m, r, generator=generator),
    }


def pairs(*paths: str, **shape: Any) -> dict[str, Tensor]:
    return {name: tensor for path in paths or PATHS for name, tensor in pair(path, **shape).items()}


def write_config(folder: Path, **changes: Any) -> Path:
    """adapter_config.json with ``changes``; a field set to ``...`` is left out."""
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not ...}
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(config))
    return path


def write_adapter(folder: Path, tensors: dict[str, Tensor] | None = None, *, bin: bool = False, **config: Any) -> Path:
    """A PEFT adapter of two modules, 6×5 of rank 2, or of ``tensors``; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, **config)
    tensors = pairs() if tensors is None else tensors
    if bin:
        torch.save(tensors, folder / "adapter_model.bin")
    else:
        save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def write_all(*folders: str) -> None:
    """An adapter of two modules in each folder."""
    for folder in folders:
        write_adapter(Path(folder))


def safetensors_bytes(header: Any, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A safetensors file of any header, well-formed or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tau(module: Module) -> torch.Tensor:
    """The whole update, (m, n) fp64."""
    made = module.update()
    return made.tuned.double() if isinstance(made, Dense) else made.scale * made.b.double() @ made.a.double()
