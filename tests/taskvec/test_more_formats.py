"""Formats without names, without a scale, and those of other packages, on small files made here."""

from __future__ import annotations

import shutil
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from taskvec import TaskvecError, load_adapter, load_zoo
from taskvec.adapters import Dense, Module
from taskvec.formats.others import others

UP, DOWN = torch.randn(6, 2), torch.randn(2, 5)


def tau(module: Module) -> Tensor:
    made = module.update()
    return made.tuned if isinstance(made, Dense) else made.scale * made.b @ made.a


def test_cloneofsimo_with_names_and_as_a_list(tmp_path: Path) -> None:
    pairs = {
        f"{part}:{n}:{way}": t
        for part in ("unet", "text_encoder")
        for n in (0, 11)
        for way, t in (("up", UP), ("down", DOWN))
    }
    save_file({name: t.clone() for name, t in pairs.items()} | {"<s1>": torch.ones(5)}, tmp_path / "a.safetensors")
    adapter = load_adapter(tmp_path / "a.safetensors")
    assert set(adapter.modules) == {"unet.0", "unet.11", "text_encoder.0", "text_encoder.11"}
    assert adapter.format == "cloneofsimo" and "told by their place" in adapter.warnings[0]
    assert [item.tensor for item in adapter.left_out] == ["<s1>"]
    torch.save([UP.requires_grad_(), DOWN, UP[:, :, None, None], DOWN[:, :, None, None]], tmp_path / "a.pt")
    adapter = load_adapter(tmp_path / "a.pt")
    assert list(adapter.modules) == ["0", "1"]
    for module in adapter.modules.values():
        assert module.scale == 1
        torch.testing.assert_close(tau(module), (UP @ DOWN).detach())
    torch.save([UP, DOWN, UP], tmp_path / "odd.pt")
    with pytest.raises(TaskvecError, match="no down of that module"):
        load_adapter(tmp_path / "odd.pt")


def test_loralib(tmp_path: Path) -> None:
    k = 3
    conv = {"conv1.lora_A": torch.randn(2 * k, 4 * k), "conv1.lora_B": torch.randn(5 * k, 2 * k)}
    merged = {"attn.lora_A": torch.randn(4, 5), "attn.lora_B": torch.randn(12, 2)}
    plain = {"q.lora_A": DOWN.detach(), "q.lora_B": UP.detach()}
    torch.save(conv | merged | plain | {"q.bias": torch.ones(6)}, tmp_path / "a.pt")
    adapter = load_adapter(tmp_path / "a.pt", alpha=8)
    modules = adapter.modules
    assert adapter.format == "loralib" and [item.tensor for item in adapter.left_out] == ["q.bias"]
    torch.testing.assert_close(tau(modules["q"]), 4 * (UP @ DOWN).detach())
    viewed = (conv["conv1.lora_B"] @ conv["conv1.lora_A"]).view(5, 4, k, k).flatten(1)
    torch.testing.assert_close(tau(modules["conv1"]), 4 * viewed)
    assert "assumed a 3×3 convolution" in modules["conv1"].warnings[0]
    a, b = merged.values()
    torch.testing.assert_close(tau(modules["attn"]), 4 * torch.cat([b[:6] @ a[:2], torch.zeros(6, 5), b[6:] @ a[2:]]))
    assert "assumed that they are q and v" in modules["attn"].warnings[0]


def test_loralib_takes_the_kernel_from_the_base(tmp_path: Path) -> None:
    k = 5
    torch.save({"stem.lora_A": torch.randn(2 * k, 3 * k), "stem.lora_B": torch.randn(4 * k, 2 * k)}, tmp_path / "a.pt")
    save_file({"stem.weight": torch.randn(4, 3, k, k)}, tmp_path / "base.safetensors")
    (module,) = load_adapter(tmp_path / "a.pt", alpha=8, base=tmp_path / "base.safetensors").modules.values()
    assert module.shape == (4, 3 * k * k) and module.scale == 4 and module.warnings == ()


def test_lora_vit(tmp_path: Path) -> None:
    tensors = {f"w_{side}_{i:03d}": torch.randn(3, 5) for i in range(4) for side in "ab"}
    tensors |= {name: t.mT.contiguous() for name, t in tensors.items() if name.startswith("w_b")}
    save_file(tensors | {"fc_5in_2out": torch.randn(2, 5)}, tmp_path / "lora.safetensors")
    adapter = load_adapter(tmp_path / "lora.safetensors", alpha=8)
    assert list(adapter.modules) == ["blocks.0.attn.qkv", "blocks.1.attn.qkv"]
    module = adapter.modules["blocks.1.attn.qkv"]
    assert module.scale == 2 and [item.tensor for item in adapter.left_out] == ["fc_5in_2out"]  # 8 // 3
    q, v = (tensors[f"w_b_{i:03d}"] @ tensors[f"w_a_{i:03d}"] for i in (2, 3))
    torch.testing.assert_close(tau(module), 2 * torch.cat([q, torch.zeros(5, 5), v]))
    split = load_adapter(tmp_path / "lora.safetensors", scale=2, split_fused=True).modules
    torch.testing.assert_close(tau(split["blocks.1.attn.v_proj"]), 2 * v)
    with pytest.raises(TaskvecError, match=r"SAM/ViT .* its alpha, and so its scale, is in no file; give --alpha"):
        load_adapter(tmp_path / "lora.safetensors")


def test_nemo(tmp_path: Path) -> None:
    prefix = "module.decoder.layers.0"
    tensors = {}
    for path in ("self_attention.linear_proj.adapter", "self_attention.linear_qkv.adapter.adapter_q"):
        tensors |= {f"{prefix}.{path}.linear_in.weight": DOWN.detach().clone()}
        tensors |= {f"{prefix}.{path}.linear_out.weight": UP.detach().clone()}
    save_file(tensors, tmp_path / "a.safetensors")
    modules = load_adapter(tmp_path / "a.safetensors", alpha=6).modules
    assert set(modules) == {f"decoder.layers.0.self_attention.{path}" for path in ("linear_proj", "linear_qkv.q")}
    for module in modules.values():
        torch.testing.assert_close(tau(module), 3 * (UP @ DOWN).detach())


PLUGIN = """
from functools import partial
from taskvec.formats.algebra.lora import linear
from taskvec.formats.recipe import Recipe
from taskvec.formats.single import Content, Piece, SingleFile

def content(file, options):
    names = sorted({name.rpartition("!")[0] for name in file.shapes})
    return Content([Piece(n, Recipe(file, (n + "!left", n + "!right"), linear), "1") for n in names])

MINE = SingleFile("mine", lambda names, beside_peft: any(name.endswith("!left") for name in names), content)
NONE = object()
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``plugin(target)``: a package that is installed, whose format is ``target``."""
    folder = tmp_path / "site"

    def install(target: str) -> None:
        info = folder / "mine-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / "taskvec_mine.py").write_text(PLUGIN)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[taskvec.formats]\nmine = {target}\n")
        monkeypatch.syspath_prepend(folder)
        others.cache_clear()

    yield install
    others.cache_clear()
    sys.modules.pop("taskvec_mine", None)


def test_another_package_adds_a_format(tmp_path: Path, plugin) -> None:
    file = tmp_path / "zoo/a.safetensors"
    file.parent.mkdir()
    save_file({"h.0.q!left": UP.detach().clone(), "h.0.q!right": DOWN.detach().clone()}, file)
    with pytest.raises(TaskvecError, match="no adapter found here"):
        load_adapter(file)
    plugin("taskvec_mine:MINE")
    (adapter,) = load_zoo(file.parent).adapters
    assert adapter.format == "mine"
    torch.testing.assert_close(tau(adapter.modules["h.0.q"]), (UP @ DOWN).detach())


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("taskvec_mine:MISSING", "the format 'mine' of another package cannot be loaded .*; update or uninstall mine"),
        ("taskvec_nowhere:MINE", "the format 'mine' of another package cannot be loaded .*; update or uninstall mine"),
        ("taskvec_mine:NONE", "is no format, expected name, claims, discover and read; update or uninstall mine"),
    ],
)
def test_a_format_that_is_broken_is_named(tmp_path: Path, plugin, target: str, words: str) -> None:
    save_file({"x!left": UP.detach().clone()}, tmp_path / "a.safetensors")
    plugin(target)
    with pytest.raises(TaskvecError, match=words):
        load_zoo(tmp_path / "a.safetensors")


def test_what_nemo_packs_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/model_weights.ckpt").write_bytes(b"x" * 100)
    with tarfile.open(tmp_path / "task.nemo", "w") as archive:
        archive.add(tmp_path / "in/model_weights.ckpt", "model_weights.ckpt")
    shutil.rmtree(tmp_path / "in")
    for path in (tmp_path / "task.nemo", tmp_path):
        with pytest.raises(TaskvecError, match=r"task.nemo.*is a tar archive, as NeMo's \.nemo files are"):
            load_adapter(path)
    shards = tmp_path / "weights"
    shards.mkdir()
    for name in (".metadata", "__0_0.distcp", "__1_0.distcp"):
        (shards / name).write_bytes(b"")
    with pytest.raises(TaskvecError, match=r"__0_0.distcp passed over: a shard of torch's distributed checkpoints"):
        load_adapter(shards)
