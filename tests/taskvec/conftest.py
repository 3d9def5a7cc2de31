"""Adapters made of random factors, in memory and on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import small_sweeps
from taskvec.adapters import Adapter, LowRank, Module
from taskvec.sweeps import plan

Factors = Mapping[str, tuple[Tensor, Tensor]]  # by module path: B (m, r), A (r, n)
Spec = Mapping[str, tuple[int, int, int]]  # by module path: m, n, r
ALPHA = 16.0


def random_factors(spec: Spec, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return {
        path: (torch.randn(m, r, generator=generator), torch.randn(r, n, generator=generator))
        for path, (m, n, r) in spec.items()
    }


def make_adapter(name: str, factors: Factors) -> Adapter:
    modules = {}
    for path, (b, a) in factors.items():
        shape, rank = (b.shape[0], a.shape[1]), a.shape[0]
        update = LowRank(b, a, ALPHA / rank)
        modules[path] = Module(path, shape, rank, ALPHA, ALPHA / rank, "alpha/r", lambda update=update: update)
    return Adapter(name, Path(name), "made", None, modules, digest=sha256(name.encode()).hexdigest())


def save_adapter(folder: Path, factors: Factors, rank: int) -> Path:
    """A PEFT directory; the config's r is ``rank``."""
    folder.mkdir(parents=True)
    tensors = {
        f"base_model.model.{path}.lora_{name}.weight": tensor.contiguous()
        for path, (b, a) in factors.items()
        for name, tensor in (("A", a), ("B", b))
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": ALPHA,
        "base_model_name_or_path": "made",
        "target_modules": ["q", "v"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(autouse=True)
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as a pipe gets them, whatever the terminal of the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)


SPEC = {f"h.{layer}.{kind}": size for layer in (0, 1, 10) for kind, size in (("q", (24, 16, 4)), ("v", (8, 16, 4)))}


@pytest.fixture
def adapter() -> Callable[..., Adapter]:
    """``adapter(name, spec_or_factors=SPEC, seed=0)``: in memory."""

    def make(name: str, given: Spec | Factors = SPEC, seed: int = 0) -> Adapter:
        raw = all(isinstance(value[0], int) for value in given.values())
        return make_adapter(name, random_factors(given, seed) if raw else given)  # type: ignore[arg-type]

    return make


@pytest.fixture
def zoo_folder(tmp_path: Path) -> Path:
    """Three adapters on disk: two that are close, ``far`` that is not and lacks the last layer."""
    first = random_factors(SPEC, 1)
    near = {path: (b + 0.01 * torch.randn_like(b), a) for path, (b, a) in first.items()}
    far = {path: pair for path, pair in random_factors(SPEC, 2).items() if ".10." not in path}
    folder = tmp_path / "zoo"
    for name, factors in (("first", first), ("near", near), ("far", far)):
        save_adapter(folder / name, factors, rank=4)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def uneven(adapter):
    """Adapters of which ``low`` lacks a layer, ``zero`` is B = 0, ``apart`` shares nothing."""
    some = {"h.0.q": (24, 16, 2), "h.1.q": (24, 16, 2)}
    one = adapter("one", some, seed=1)
    factors = {path: module.update()[:2] for path, module in one.modules.items()}
    return [
        one,
        adapter("near", {path: (b + 0.1, a) for path, (b, a) in factors.items()}),
        adapter("low", {"h.0.q": (24, 16, 1)}, seed=3),
        adapter("zero", {path: (0 * b, a) for path, (b, a) in factors.items()}),
        adapter("apart", {"other": (4, 4, 1)}, seed=4),
    ]


@pytest.fixture
def small_units(monkeypatch) -> None:
    """Two adapters a chunk and a unit, two modules."""
    monkeypatch.setattr(plan, "SIDES", ((1 << 62, 2, 2),))
    monkeypatch.setattr(plan, "MOST_MODULES", 2)


@pytest.fixture
def five(adapter):
    """Five adapters of several ranks; one lacks a module and is zero."""
    made = [
        adapter(f"a{i}", {path: (m, n, 1 + (i + r) % 4) for path, (m, n, r) in small_sweeps.SPEC.items()}, i)
        for i in range(4)
    ]
    factors = {path: module.update()[:2] for path, module in made[0].modules.items()}
    zero = adapter("zero", {path: (0 * b, a) for path, (b, a) in factors.items() if path != "h.1.v"})
    return [*made, zero]
