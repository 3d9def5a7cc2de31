"""A zoo as PEFT folders, some of them spoilt as people's are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file

from .factors import ALPHA, factors
from .recipe import Member, Recipe, members

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
THREADS = 2


def write_folders(root: Path, recipe: Recipe, some: Iterable[int] | None = None) -> list[Member]:
    """A folder in ``root`` for each adapter of the zoo, or for ``some`` of them by position.

    Returns:
        Who was written, the broken ones too.

    Cost:
        4 r (m + n) random numbers a module: about a gigabyte in five seconds.
    """
    wanted = None if some is None else set(some)
    chosen = [who for who in members(recipe) if wanted is None or who.number in wanted]
    root.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(partial(write_folder, root, recipe), chosen))
    return chosen


def write_folder(root: Path, recipe: Recipe, who: Member) -> None:
    folder = root / who.name
    folder.mkdir(exist_ok=True)
    dtype = getattr(torch, who.dtype)
    tensors = {}
    for path, (b, a) in factors(recipe, who).items():
        for side, values in (("A", a), ("B", b)):
            tensors[f"base_model.model.{path}.lora_{side}.weight"] = torch.from_numpy(values).to(dtype)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": who.base.name,
        "r": who.rank,
        "lora_alpha": ALPHA,
        "target_modules": sorted({kind.path.rpartition(".")[2] for kind in who.kinds}),
    }
    last = max(tensors)  # a lora_B
    if who.fault == "not finite":
        tensors[last][0, 0] = torch.nan
    if who.fault == "no lora_B":
        del tensors[last]
    save_file(tensors, folder / WEIGHTS)
    if who.fault != "no config":
        text = json.dumps(config)
        (folder / CONFIG).write_text(text[:-1] if who.fault == "not JSON" else text, encoding="utf-8")
    if who.fault == "cut short":
        with (folder / WEIGHTS).open("r+b") as file:
            file.truncate((folder / WEIGHTS).stat().st_size // 2)
