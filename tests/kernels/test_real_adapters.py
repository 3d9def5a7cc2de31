"""The promised errors on real adapters: every folder of one shape, each module against each."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from taskvec_kernels import LowRankSVD, lowrank_svd, pairwise

from .cases import ALL_PAIRWISE, padded
from .compare import assert_pairs, assert_svd

Factors = tuple[Tensor, Tensor, float]


def read(folder: Path) -> dict[str, Factors]:
    """Module → B, A, scale of a plain PEFT directory; nothing for what is no such directory."""
    try:
        config = json.loads((folder / "adapter_config.json").read_text())
        tensors = load_file(folder / "adapter_model.safetensors")
        scale = config["lora_alpha"] / config["r"]
    except Exception:  # the folder also holds broken adapters, for the loader's tests
        return {}
    out = {}
    for name, a in tensors.items():
        b = tensors.get(name.replace("lora_A", "lora_B"))
        if "lora_A" in name and b is not None and a.dim() == b.dim() == 2 and a.is_floating_point():
            out[name.partition(".lora_A")[0]] = (b, a, scale)
    return out


@pytest.fixture(scope="module")
def modules(real_adapters: Path) -> dict[tuple[int, int], list[Factors]]:
    """By shape (m, n): up to 16 of at most 2²¹ entries, from as many adapters as there are."""
    found: dict[tuple[int, int], list[Factors]] = defaultdict(list)
    for config in sorted(real_adapters.rglob("adapter_config.json")):
        for b, a, scale in list(read(config.parent).values())[:6]:
            shape = (b.shape[0], a.shape[1])
            if shape[0] * shape[1] <= 2**21 and b.isfinite().all() and a.isfinite().all() and len(found[shape]) < 16:
                found[shape].append((b, a, scale))
    assert sum(map(len, found.values())) > 50
    return found


def test_factorisations(modules: dict[tuple[int, int], list[Factors]]) -> None:
    for (m, n), found in modules.items():
        for i, (b, a, scale) in enumerate(found):
            assert_svd(lowrank_svd(b, a, scale), b, a, scale, spectrum=i == 0 and m * n <= 2**19)


def test_pairs(modules: dict[tuple[int, int], list[Factors]]) -> None:
    for shape, found in modules.items():
        svds = [lowrank_svd(*factors) for factors in found]
        k = max(svd.S.shape[-1] for svd in svds)
        zoo = LowRankSVD(*(torch.stack(parts) for parts in zip(*(padded(svd, k) for svd in svds), strict=True)))
        if len(found) * shape[0] * shape[1] <= 2**24:
            assert_pairs(pairwise(zoo, metrics=ALL_PAIRWISE, spectra=True, p=3.0), zoo, p=3.0)
