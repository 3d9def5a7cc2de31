"""PEFT folders that the real client wrote, with the update that the client itself gives."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from taskvec import TaskvecError, load_adapter
from taskvec.adapters import Adapter
from taskvec.inspect import inspect_module

# the client applies this update twice, the file has it once
TWICE = {("peft-lora-mha", "mha.out_proj")}
# named in left_out, not compared: vectors, and rows that replace those of the base
NOT_COMPARED = ("bias", "embed_tokens")
# words of the reason for which a folder of another kind than "exact" is refused
REASONS = {"needs-base": "needs the base weights", "refuse": "is an adapter of peft_type|saved without vera_"}


def cases() -> dict[str, str]:
    """Name and kind of the folders that ``TASKVEC_TEST_TRUTH`` has of PEFT."""
    folder = os.environ.get("TASKVEC_TEST_TRUTH")
    if not folder:
        return {}
    known = json.loads((Path(folder) / "CASES.json").read_text())["cases"]
    return {name: kind for name, kind in sorted(known.items()) if name.startswith("peft")}


def truth(folder: Path) -> dict[str, np.ndarray]:
    """The update of every module, (out, in); of experts one by one."""
    found = {}
    for path, delta in np.load(folder / "delta.npz").items():
        is_expert = "experts" in path and delta.ndim == 3
        found |= {f"{path}[{e}]": each for e, each in enumerate(delta)} if is_expert else {path: delta}
    return {path: delta.reshape(len(delta), -1) for path, delta in found.items() if delta.ndim > 1}


@pytest.mark.parametrize("name", cases() or [None])
def test_spectra_are_the_clients(name: str | None) -> None:
    if name is None:
        pytest.skip("TASKVEC_TEST_TRUTH names no folder of true updates")
    folder, kind = Path(os.environ["TASKVEC_TEST_TRUTH"]) / name, cases()[name]
    if kind in REASONS:
        with pytest.raises(TaskvecError, match=REASONS[kind]):
            load_adapter(folder)
        return
    adapter = load_adapter(folder)
    expected = {path: delta for path, delta in truth(folder).items() if "/" not in path}
    missing = set(expected) - set(adapter.modules)
    assert set(adapter.modules) <= set(expected)
    assert all(any(word in path for word in NOT_COMPARED) and is_named(adapter, path) for path in missing), missing
    for path, module in adapter.modules.items():
        spectrum = np.linalg.svd(expected[path].astype(np.float64), compute_uv=False)
        spectrum /= 2 if (name, path) in TWICE else 1
        found = np.array(inspect_module(module)["spectrum"])
        padded = np.zeros(max(len(spectrum), len(found)))
        padded[: len(found)] = found
        padded[: len(spectrum)] -= spectrum
        assert np.linalg.norm(padded) <= 3e-4 * np.linalg.norm(spectrum), path
        assert module.shape == expected[path].shape


def is_named(adapter: Adapter, path: str) -> bool:
    return any(path in item.tensor for item in adapter.left_out)
