"""Files that other tools' real clients wrote, with the update that the client itself gives."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from taskvec import TaskvecError, load_adapter
from taskvec.adapters import Adapter
from taskvec.inspect import inspect_module

KINDS = re.compile(r"adapters-|aitoolkit|cloneofsimo|diffusers|gguf|kohya|lycoris|mlx|qwen|torchtune|wan|xlabs")
# the client's names are others: spectra are compared as a set, fused parts joined
RENAMED = ("cloneofsimo-pt", "kohya-sdxl-sgm", "wan-diffusion-model")
REASONS = {"needs-base": "needs the base weights", "exact-if-scale-is-given": "scale is in no file"}
UNSCALED = "lora-vit|loralib"
ALPHA_8 = 2.0  # of LoRA-ViT, whose alpha is 8 // 4


def cases(pattern: str) -> dict[str, str]:
    """Name and kind of the folders of ``TASKVEC_TEST_TRUTH`` whose names begin so."""
    folder = os.environ.get("TASKVEC_TEST_TRUTH")
    if not folder:
        return {}
    known = json.loads((Path(folder) / "CASES.json").read_text())["cases"]
    return {name: kind for name, kind in sorted(known.items()) if re.match(pattern, name)}


def truth(folder: Path) -> dict[str, np.ndarray]:
    """The update of every module, (out, in)."""
    found = dict(np.load(folder / "delta.npz").items())
    if folder.name == "kohya-flux":
        parts = [path for path in found if re.search(r"\.to_[qkv]$", path)]
        found["double_blocks.0.img_attn.qkv"] = np.concatenate([found.pop(path) for path in sorted(parts, key=order)])
    return {path: delta.reshape(len(delta), -1) for path, delta in found.items() if delta.ndim > 1}


def order(path: str) -> int:
    return "qkv".index(path[-1])


def flat(path: str) -> str:
    return path.replace(".", "_")


def spectra(adapter: Adapter) -> dict[str, np.ndarray]:
    return {path: np.array(inspect_module(module)["spectrum"]) for path, module in adapter.modules.items()}


def distance(found: np.ndarray, true: np.ndarray) -> float:
    length = max(len(found), len(true))
    padded = [np.pad(values, (0, length - len(values))) for values in (found, true)]
    return float(np.linalg.norm(padded[0] - padded[1]) / np.linalg.norm(true))


@pytest.mark.parametrize("name", cases(KINDS.pattern) or [None])
def test_spectra_are_the_clients(name: str | None) -> None:
    if name is None:
        pytest.skip("TASKVEC_TEST_TRUTH names no folder of true updates")
    folder, kind = Path(os.environ["TASKVEC_TEST_TRUTH"]) / name, cases(KINDS.pattern)[name]
    if kind in REASONS:
        with pytest.raises(TaskvecError, match=REASONS[kind]):
            load_adapter(folder)
        return
    found = spectra(load_adapter(folder))
    expected = {
        path: np.linalg.svd(delta.astype(np.float64), compute_uv=False) for path, delta in truth(folder).items()
    }
    assert len(found) == len(expected)
    for path, values in found.items():
        same = [true for other, true in expected.items() if flat(other).endswith(flat(path)) or ends(path, other)]
        candidates = same if name not in RENAMED and "flux" not in name else list(expected.values())
        assert candidates and min(distance(values, true) for true in candidates) <= 3e-4, path


def ends(path: str, other: str) -> bool:
    """Whether the module ``other`` of the client is ``path`` of the file, whose prefix is the tool's own."""
    plain = re.sub(r"^(lora_unet|lora_te_text_model|lycoris)_", "", flat(path))
    return flat(other).endswith(plain)


@pytest.mark.parametrize("name", cases(UNSCALED) or [None])
def test_an_alpha_that_is_in_no_file_has_to_be_given(name: str | None) -> None:
    if name is None:
        pytest.skip("TASKVEC_TEST_TRUTH names no folder of true updates")
    folder = Path(os.environ["TASKVEC_TEST_TRUTH"]) / name
    with pytest.raises(TaskvecError, match=r"is an adapter in .* format: its alpha, and so its scale, is in no file"):
        load_adapter(folder)
    expected = truth(folder)
    scales = json.loads((folder / "SOURCE.json").read_text()).get("scales", dict.fromkeys(expected, ALPHA_8))
    for path, scale in scales.items():
        module = load_adapter(folder, scale=scale).modules[path]
        true = np.linalg.svd(expected[path].astype(np.float64), compute_uv=False)
        assert distance(np.array(inspect_module(module)["spectrum"]), true) <= 3e-4
        assert module.shape == expected[path].shape
