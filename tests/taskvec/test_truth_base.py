"""Adapters and checkpoints that need their base, or a scale, against the update that the real client gives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskvec.cli import main

SCALES = {"mlx-examples-npz": ("--scale", "20")}


def cases(*kinds: str) -> list[str] | list[None]:
    """Names of the folders that ``TASKVEC_TEST_TRUTH`` has of these kinds, [None] without it."""
    folder = os.environ.get("TASKVEC_TEST_TRUTH")
    if not folder:
        return [None]
    known = json.loads((Path(folder) / "CASES.json").read_text())["cases"]
    return [name for name, kind in sorted(known.items()) if kind in kinds]


def truth_folder(name: str | None) -> Path:
    if name is None:
        pytest.skip("TASKVEC_TEST_TRUTH names no folder of true updates")
    return Path(os.environ["TASKVEC_TEST_TRUTH"]) / name


def spectra(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, list[float]]:
    """What ``taskvec inspect --json`` says of one adapter."""
    assert main(["inspect", "--json", *map(str, arguments)]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    (adapter,) = document["adapters"]
    return {module["module"]: module["spectrum"] for module in adapter["modules"]}


def check(found: dict[str, list[float]], folder: Path) -> None:
    """Every module of the truth is found, its spectrum within 3e-4."""
    true = {path: delta.reshape(len(delta), -1) for path, delta in np.load(folder / "delta.npz").items()}
    assert len(found) == len(true)
    for path, values in found.items():
        (delta,) = (delta for other, delta in true.items() if flat(path).endswith(flat(other)))
        expected = np.linalg.svd(delta.astype(np.float64), compute_uv=False)
        size = max(len(values), len(expected))
        difference = np.pad(values, (0, size - len(values))) - np.pad(expected, (0, size - len(expected)))
        assert np.linalg.norm(difference) <= 3e-4 * np.linalg.norm(expected), path


def flat(path: str) -> str:
    return path.replace(".", "_")


@pytest.mark.parametrize("name", cases("needs-base"))
def test_with_the_base(name: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    folder = truth_folder(name)
    base = folder / "base.safetensors"
    check(spectra(capsys, folder, "--base", base), folder)


@pytest.mark.parametrize("name", cases("dense-pair"))
def test_checkpoints(name: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    folder = truth_folder(name)
    pair = f"{folder}/base..{folder}/tuned"
    if "bnb4" in folder.name:
        assert main(["inspect", pair]) == 2
        assert "is quantised (bitsandbytes)" in capsys.readouterr().err
        return
    check(spectra(capsys, pair), folder)
    check(spectra(capsys, folder / "tuned", "--base", folder / "base"), folder)


@pytest.mark.parametrize("name", SCALES)
def test_with_a_scale(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = truth_folder(name if cases("exact-if-scale-is-given") != [None] else None)
    check(spectra(capsys, folder, *SCALES[name]), folder)
    assert main(["inspect", str(folder)]) == 2
    assert "its scale is in no file" in capsys.readouterr().err
