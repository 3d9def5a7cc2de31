"""Results of sweeps that nobody computed: made numbers in a sweep's layout, of any size."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from taskvec.documents import as_text

PAIR = ("module", "source", "target")
LISTS = ("unfinished", "metrics", "input_sha256", "starts", "skipped", "skipped_paths", "warnings")
KINDS = ("q_proj", "k_proj", "v_proj")


def made_result(
    N: int,
    layers: int = 6,
    kinds: Sequence[str] = KINDS[::2],
    *,
    names: Sequence[str] | None = None,
    lams: Sequence[float] = (),
    tasks: int = 5,
    rank: int = 8,
    shifts: int = 5,
) -> xr.Dataset:
    """N adapters of a few tasks; those of one task hold much of each other, later ones more than earlier ones."""
    random = np.random.default_rng(7)
    L, task = layers * len(kinds), np.arange(N) % tasks
    alike = (task[:, None] == task) * 1.0
    bigger = np.subtract.outer(np.arange(N), np.arange(N)) / N  # source − target
    shape = (L, N, N)

    def drawn(mean: Any, spread: float) -> np.ndarray[Any, Any]:
        return (mean + spread * random.standard_normal(shape, np.float32)).astype(np.float32)

    captured = np.clip(drawn(0.02 + 0.55 * alike + 0.1 * bigger * alike, 0.03), 1e-4, 1)
    cosine = drawn(0.7 * alike, 0.05)
    cosine = np.clip((cosine + cosine.transpose(0, 2, 1)) / 2, -1, 1)
    values = {
        "captured": captured,
        "captured_out": np.sqrt(captured),
        "captured_in": np.sqrt(captured) * 0.9,
        "rec": np.clip(drawn(0.4 + 0.4 * alike, 0.08), 0, 1),
        "rec_chance": np.full(shape, 0.4, np.float32),
        "rec_chance_sd": np.full(shape, 0.08, np.float32),
        "l1": np.abs(drawn(1.0 - 0.5 * alike, 0.1)),
        "l2": np.abs(drawn(0.5 - 0.2 * alike, 0.05)),
        "entropy_projected": np.clip(drawn(0.6, 0.05), 0, 1),
        "excess": np.exp(drawn(1 + 4 * alike, 0.5)),
        "cosine": cosine.astype(np.float32),
        "overlap_u": np.clip(drawn(0.05 + 0.5 * alike, 0.02), 0, 1),
        "overlap_v": np.clip(drawn(0.05 + 0.3 * alike, 0.02), 0, 1),
    }
    for metric in ("captured", "captured_out", "captured_in", "rec", "cosine", "overlap_u", "overlap_v"):
        values[metric][:, np.arange(N), np.arange(N)] = 1.0
    names = [f"author{i % 7}/task{task[i]}-{i:04d}" for i in range(N)] if names is None else list(names)
    spectrum = np.sort(np.abs(random.standard_normal((L, N, rank))), -1)[..., ::-1].astype(np.float32) + 0.1
    squares = np.square(spectrum)
    variables: dict[str, Any] = {name: (PAIR, value) for name, value in values.items()}
    if lams:
        for name in ("rec", "l1", "l2", "entropy_projected"):
            by_lam = np.stack([values[name] * (1 - 0.1 * k) for k in range(len(lams))], 1)
            variables[name] = (("module", "lam", "source", "target"), by_lam)
    variables |= {
        "entropy": (PAIR[:2], random.uniform(0.7, 0.9, (L, N)).astype(np.float32)),
        "norm": (PAIR[:2], np.sqrt(squares.sum(-1))),
        "participation": (PAIR[:2], squares.sum(-1) ** 2 / np.square(squares).sum(-1)),
        "spectrum": ((*PAIR[:2], "component"), spectrum),
    }
    some = [(i, j) for i in range(min(N, 12)) for j in range(min(N, 12)) if i != j]
    others = random.uniform(0.01, 0.05, (len(some), shifts + 1)).astype(np.float32)
    i, j = np.array(some).T
    others[:, 0] = captured.mean(0)[i, j]
    variables |= {
        "pair_source": ("pair", i), "pair_target": ("pair", j),
        "shifted_captured": (("pair", "shift"), others), "shifted_rec": (("pair", "shift"), others + 0.3),
        "shifted_rec_z": (("pair", "shift"), others * 0),
        "captured_cut": (("pair", "module"), np.full((len(some), L), np.nan)),
        "shifted_captured_cut": (("pair", "shift"), others * np.nan),
    }  # fmt: skip
    coordinates = {
        "module": [f"model.layers.{layer}.self_attn.{kind}" for layer in range(layers) for kind in kinds],
        "source": names,
        "target": names,
        "layer": ("module", np.repeat(np.arange(layers), len(kinds)).astype(np.int32)),
        "kind": ("module", list(kinds) * layers),
        "rows": ("module", np.full(L, 512, np.int32)),
        "columns": ("module", np.full(L, 512, np.int32)),
    } | ({"lam": ("lam", list(lams))} if lams else {})
    attributes = {
        "complete": 1, "unfinished": [], "lambda": list(lams) or 0.0, "method": "exact", "norm": "frobenius",
        "seed": 0, "precision": "highest", "backend": "cpu", "device": "cpu", "metrics": list(values),
        "taskvec_version": "0.1.0",
        "torch_version": "2.13.0", "numpy_version": "2.3.5", "zarr_version": "3.1.6", "python_version": "3.11.7",
        "input_sha256": [sha256(name.encode()).hexdigest() for name in names], "starts": [""] * N,
        "skipped": [], "skipped_paths": [], "warnings": [],
    }  # fmt: skip
    return xr.Dataset(variables, coordinates, attributes | {name: as_text(attributes[name]) for name in LISTS})


def stored(path: Path, dataset: xr.Dataset) -> Path:
    """``path``, once the result is there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")
        dataset.to_zarr(path, mode="w", consolidated=False)
    return path
