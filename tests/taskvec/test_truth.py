"""The table of files that real clients wrote, each with the update that the client itself gives, by the command line.

``TASKVEC_TEST_TRUTH`` names the folder: CASES.json says of each NAME/ what is expected, delta.npz holds its update,
SOURCE.json where that comes from. Files of the same kinds that need no such folder are in the tests beside this one.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from taskvec.cli import main
from taskvec.formats.spelling import spelling

Spectrum = npt.NDArray[np.float64]
Found = list[tuple[str, Spectrum]]  # with the module's path; several adapters may have the same
TOLERANCE = 3e-4
# the client applies this update twice, the file has it once
TWICE = {("peft-lora-mha", "mha.out_proj")}
# the file has no names: modules are told by their spectra
NAMELESS = "cloneofsimo"
# no update of a matrix, named in left_out: rows that replace those of an embedding
REPLACED = "embed_tokens"
UNSCALED = {"mlx-examples-npz": "20"}
QUANTISED = {"dense-bnb4-base": "is quantised (bitsandbytes)"}
REFUSED = {"peft-vera-no-projection": "is saved without vera_"}
QKV = ("to_q", "to_k", "to_v")


def cases() -> dict[str, str]:
    """Kind by name, nothing without the folder."""
    folder = os.environ.get("TASKVEC_TEST_TRUTH")
    if not folder:
        return {}
    known: dict[str, str] = json.loads((Path(folder) / "CASES.json").read_text())["cases"]
    return dict(sorted(known.items()))


CASES = cases()


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip("TASKVEC_TEST_TRUTH names no folder of true updates")
    return Path(os.environ["TASKVEC_TEST_TRUTH"]) / request.param


def of_kinds(*kinds: str) -> pytest.MarkDecorator:
    names = [name for name, kind in CASES.items() if kind in kinds]
    return pytest.mark.parametrize("folder", names or [None], indirect=True)


def inspect(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[Found, set[str]]:
    """What ``taskvec inspect --json`` finds: spectra by module, and what is left out."""
    assert main(["inspect", "--json", *map(str, arguments)]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    modules = [module for adapter in document["adapters"] for module in adapter["modules"]]
    left_out = {item["tensor"] for adapter in document["adapters"] for item in adapter["left_out"]}
    return [(module["module"], np.array(module["spectrum"])) for module in modules], left_out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line in which ``taskvec inspect`` refuses."""
    assert main(["inspect", *map(str, arguments)]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    return said


def truth(folder: Path) -> dict[str, Spectrum]:
    """The spectrum of every module; experts one by one, vectors aside."""
    found: dict[str, npt.NDArray[Any]] = {}
    for path, delta in np.load(folder / "delta.npz").items():
        are_experts = "experts" in path and delta.ndim == 3
        found |= {f"{path}[{e}]": each for e, each in enumerate(delta)} if are_experts else {path: delta}
    return {path: spectrum(delta) for path, delta in found.items() if delta.ndim > 1}


def spectrum(delta: npt.NDArray[Any]) -> Spectrum:
    return np.linalg.svd(delta.reshape(len(delta), -1).astype(np.float64), compute_uv=False)


def distance(found: Spectrum, true: Spectrum) -> float:
    size = max(len(found), len(true))
    found, true = (np.pad(values, (0, size - len(values))) for values in (found, true))
    return float(np.linalg.norm(found - true)) / (float(np.linalg.norm(true)) or 1.0)


def same_module(a: str, b: str) -> bool:
    """Whether two tools' names may be one module's: one ends the other, as flattened names in one spelling."""
    one, two = (spelling(path.split("/")[-1]).path for path in (a, b))
    return one.endswith(two) or two.endswith(one)


def check(folder: Path, found: Found, left_out: set[str], only: str | None = None) -> None:
    """Every module of the truth is found, its spectrum within 3e-4; what is not found is named as left out."""
    true = _fused(folder, truth(folder), found)
    missing = set(true)
    for path, values in found:
        if only is not None and path != only:
            continue
        alike = true if folder.name.startswith(NAMELESS) else [other for other in true if same_module(path, other)]
        assert alike, path
        nearest = min(alike, key=lambda other: distance(values, true[other]))
        times = 2 if (folder.name, path) in TWICE else 1
        assert distance(times * values, true[nearest]) <= TOLERANCE, path
        missing.discard(nearest)
    if only is None:
        assert all(REPLACED in path and any(REPLACED in name for name in left_out) for path in missing), missing


def _fused(folder: Path, true: dict[str, Spectrum], found: Found) -> dict[str, Spectrum]:
    """The truth's q, k and v as one where the file has them so."""
    if not any(re.search("_qkv$", path) for path, _ in found):
        return true
    deltas = np.load(folder / "delta.npz")
    stem = next(path.removesuffix("to_q") for path in deltas if path.endswith("to_q"))
    rest = {path: values for path, values in true.items() if not path.startswith(f"{stem}to_") or path[-1] not in "qkv"}
    whole = np.concatenate([deltas[f"{stem}{part}"] for part in QKV])
    (name,) = (path for path, _ in found if path.endswith("_qkv"))
    return rest | {name: spectrum(whole)}


@of_kinds("exact", "exact-dense")
def test_exact(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(folder, *inspect(capsys, folder))


@of_kinds("needs-base")
def test_with_the_base(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "needs the base weights" in refused(capsys, folder)
    check(folder, *inspect(capsys, folder, "--base", folder / "base.safetensors"))


@of_kinds("exact-if-scale-is-given")
def test_with_a_scale(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "in no file" in refused(capsys, folder)
    scales = json.loads((folder / "SOURCE.json").read_text()).get("scales")
    if scales is None:
        given = ("--scale", UNSCALED[folder.name]) if folder.name in UNSCALED else ("--alpha", "8")
        check(folder, *inspect(capsys, folder, *given))
        return
    for path, scale in scales.items():
        check(folder, *inspect(capsys, folder, "--scale", str(scale)), only=path)


@of_kinds("dense-pair")
def test_checkpoints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = f"{folder}/base..{folder}/tuned"
    if folder.name in QUANTISED:
        assert QUANTISED[folder.name] in refused(capsys, pair)
        return
    check(folder, *inspect(capsys, pair))
    check(folder, *inspect(capsys, folder / "tuned", "--base", folder / "base"))


@of_kinds("refuse")
def test_refused_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peft_type = json.loads((folder / "adapter_config.json").read_text())["peft_type"]
    assert REFUSED.get(folder.name, f"is an adapter of peft_type {peft_type}: ") in refused(capsys, folder)


def test_the_table_is_whole() -> None:
    if not CASES:
        pytest.skip("TASKVEC_TEST_TRUTH names no folder of true updates")
    kinds = {"exact", "exact-dense", "exact-if-scale-is-given", "needs-base", "refuse", "dense-pair"}
    assert set(CASES.values()) == kinds
    assert all((Path(os.environ["TASKVEC_TEST_TRUTH"]) / name / "delta.npz").is_file() for name in CASES)
