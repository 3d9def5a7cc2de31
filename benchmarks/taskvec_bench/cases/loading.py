"""``taskvec.load_zoo`` of PEFT folders: found, their configs and values checked, every file hashed."""

from __future__ import annotations

import hashlib
import json
import shutil
import weakref
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .case import Case, Provider, close
from .inputs import Model, factors

ALPHA = 16
CONFIG = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "made", "lora_alpha": ALPHA}
WEIGHTS, JSON = "adapter_model.safetensors", "adapter_config.json"

Loaded = dict[str, Tensor]


def load_case(model: Model, adapters: int, r: int, *, quick: bool = False) -> Case:
    """N folders of the model's modules on disk; they are in the page cache, where they were just written."""
    return Case(
        function="load_zoo",
        shape=model.shape(r, modules=model.modules, N=adapters),
        flop=0,
        bytes=0,
        inputs=lambda: folders(model, adapters, r),
        truth=truth,
        agrees=close,
        providers={"ours/cpu": Provider(ours), "safetensors/load_file and hashlib": Provider(by_hand)},
        quick=quick,
    )


class Root:
    """A folder that goes with the object."""

    def __init__(self) -> None:
        self.name = mkdtemp(prefix="taskvec-bench-")
        weakref.finalize(self, shutil.rmtree, self.name)


def folders(model: Model, adapters: int, r: int) -> Root:
    """A folder of N adapters' folders."""
    root = Root()
    b, a = factors((model.modules,), model.m, model.n, r)
    for i in range(adapters):
        folder = Path(root.name, f"r{i:06}")
        folder.mkdir()
        tensors = {}
        for layer in range(model.modules):
            path = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
            tensors[f"{path}.lora_A.weight"], tensors[f"{path}.lora_B.weight"] = a[layer] + i, b[layer]
        save_file(tensors, folder / WEIGHTS)
        (folder / JSON).write_text(json.dumps(CONFIG | {"r": r, "target_modules": ["q_proj"]}))
    return root


def ours(root: Root) -> Loaded:
    import taskvec

    adapters = taskvec.load_zoo(root.name).adapters
    scales = [[module.scale for module in adapter.modules.values()] for adapter in adapters]
    return loaded(scales, [adapter.digest for adapter in adapters])


def by_hand(root: Root) -> Loaded:
    """What one would write: load every file, look for what is not finite, and hash."""
    scales, digests = [], []
    for folder in sorted(Path(root.name).iterdir()):
        config = json.loads((folder / JSON).read_text())
        tensors = load_file(folder / WEIGHTS)
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise ValueError(f"{folder} has NaN or Inf")
        scales.append([config["lora_alpha"] / len(t) for name, t in tensors.items() if "lora_A" in name])
        digests.append(digest(folder))
    return loaded(scales, digests)


def truth(root: Root) -> Loaded:
    """Scales from the configs, hashes from the bytes."""
    found = sorted(Path(root.name).iterdir())
    config = json.loads((found[0] / JSON).read_text())
    modules = len(load_file(found[0] / WEIGHTS)) // 2
    return loaded([[ALPHA / config["r"]] * modules] * len(found), list(map(digest, found)))


def digest(folder: Path) -> str:
    """sha256 of the sha256 of both files."""
    each = [hashlib.sha256((folder / name).read_bytes()).digest() for name in (WEIGHTS, JSON)]
    return hashlib.sha256(b"".join(each)).hexdigest()


def loaded(scales: Any, digests: list[str]) -> Loaded:
    """Scales (N, modules), and of each hash its first 16 bits (N,)."""
    return {
        "scale": torch.tensor(scales, dtype=torch.float64),
        "digest": torch.tensor([int(text[:4], 16) / 2**16 for text in digests], dtype=torch.float64),
    }
