"""PEFT's methods that are functions of the base weight, against what PEFT itself merges."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import peft
import pytest
import torch
from peft.tuners.boft.layer import BOFTLayer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from make_adapters import PREFIX, write_adapter
from taskvec import TaskvecError, load_adapter
from taskvec.adapters import Dense, Module
from taskvec.formats.algebra.clusters import kmeans
from taskvec.formats.algebra.rotations import butterfly, butterfly_order

pytestmark = pytest.mark.peft
LINEAR = ["q_proj", "v_proj", "down_proj"]


class Tiny(nn.Module):
    """Linear layers of several shapes, a convolution and an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(10, 12)
        self.q_proj, self.v_proj, self.down_proj = nn.Linear(12, 12), nn.Linear(12, 6), nn.Linear(24, 12)
        self.image, self.c_proj = nn.Conv2d(4, 6, 3), Conv1D(12, 12)
        self.plain = nn.Linear(12, 9, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x


def lora(**settings: object) -> peft.LoraConfig:
    return peft.LoraConfig(**{"r": 3, "lora_alpha": 7, "target_modules": LINEAR} | settings)


CONFIGS = {
    "IA3": peft.IA3Config(target_modules=LINEAR, feedforward_modules=["down_proj"]),
    "IA3 of convolutions": peft.IA3Config(target_modules=["image"], feedforward_modules=[]),
    "IA3 of convolutions' inputs": peft.IA3Config(target_modules=["image"], feedforward_modules=["image"]),
    "OFT": peft.OFTConfig(oft_block_size=3, target_modules=LINEAR),
    "OFT, exact": peft.OFTConfig(oft_block_size=3, use_cayley_neumann=False, target_modules=LINEAR),
    "OFT, three terms": peft.OFTConfig(oft_block_size=3, num_cayley_neumann_terms=3, target_modules=LINEAR),
    "OFT, shared": peft.OFTConfig(oft_block_size=3, block_share=True, target_modules=LINEAR),
    "OFT, constrained": peft.OFTConfig(oft_block_size=3, coft=True, eps=0.2, target_modules=[*LINEAR, "image"]),
    "OFT of embeddings": peft.OFTConfig(oft_block_size=3, target_modules=["embed_tokens"]),
    "BOFT": peft.BOFTConfig(boft_block_size=3, target_modules=[*LINEAR, "image"]),
    "BOFT of four blocks": peft.BOFTConfig(boft_block_size=0, boft_block_num=4, target_modules=LINEAR),
    "HRA": peft.HRAConfig(r=2, target_modules=LINEAR),
    "HRA, orthogonal": peft.HRAConfig(r=2, apply_GS=True, target_modules=[*LINEAR, "image"]),
    "HiRA": peft.HiraConfig(r=2, target_modules=LINEAR),
    "RoAd 1": peft.RoadConfig(group_size=2, target_modules=LINEAR),
    "RoAd 2": peft.RoadConfig(variant="road_2", group_size=6, target_modules=LINEAR),
    "RoAd 4": peft.RoadConfig(variant="road_4", group_size=6, target_modules=LINEAR),
    "GLoRA": peft.GloraConfig(r=2, target_modules=LINEAR),
    "GLoRA of vectors": peft.GloraConfig(r=2, config_A_B="vector", target_modules=LINEAR),
    "GLoRA of numbers": peft.GloraConfig(r=2, config_A_B="constant", target_modules=LINEAR),
    "MiSS bat": peft.MissConfig(r=3, init_weights="bat", target_modules=LINEAR),
    "MiSS mini": peft.MissConfig(r=3, mini_r=3, init_weights="mini", target_modules=LINEAR),
    "DEFT": peft.DeftConfig(r=2, decomposition_method="relu", alpha=5, target_modules=LINEAR),
    "DEFT of GPT-2's layers": peft.DeftConfig(r=2, target_modules=["c_proj"], fan_in_fan_out=True),
    "DEFT, orthogonal": peft.DeftConfig(r=2, decomposition_method="qr", target_modules=LINEAR),
    "PaRa": peft.DeftConfig(r=2, para=True, target_modules=LINEAR),
    "FRoD": peft.FrodConfig(save_projection=True, sparse_rate=0.1, target_modules=LINEAR, progressbar=False),
    "FRoD without sparse values": peft.FrodConfig(save_projection=True, sparse_rate=0, target_modules=LINEAR),
    "FRoD of GPT-2's layers": peft.FrodConfig(save_projection=True, target_modules=["c_proj"], fan_in_fan_out=True),
    "OSF": peft.OSFConfig(effective_rank=3, target_modules=LINEAR),
    "PEANuT": peft.PeanutConfig(r=2, scaling=0.5, target_modules=LINEAR),
    "PEANuT of two layers": peft.PeanutConfig(r=2, depth=2, act_fn="tanh", target_modules=LINEAR),
    "PSOFT": peft.PsoftConfig(r=3, psoft_alpha=5, target_modules=LINEAR),
    "PSOFT by a series": peft.PsoftConfig(
        r=3, use_cayley_neumann=True, cayley_neumann_eps=0.2, ab_svd_init="pissa_init", target_modules=LINEAR
    ),
    "PSOFT of any matrix": peft.PsoftConfig(
        r=3, psoft_orth=False, psoft_mag_a=False, psoft_svd="lowrank", target_modules=LINEAR
    ),
    "trainable tokens": peft.TrainableTokensConfig(token_indices=[1, 7], target_modules=["embed_tokens"]),
    "DoRA": lora(use_dora=True),
    "DoRA of convolutions": lora(use_dora=True, target_modules=["image"]),
    "DoRA of embeddings": lora(use_dora=True, target_modules=["embed_tokens"]),
    "DoRA of GPT-2's layers": lora(use_dora=True, fan_in_fan_out=True, target_modules=["c_proj"]),
    "IA3 of GPT-2's layers": peft.IA3Config(target_modules=["c_proj"], feedforward_modules=[], fan_in_fan_out=True),
    "PiSSA": lora(init_lora_weights="pissa"),
    "OLoRA": lora(init_lora_weights="olora", lora_alpha=3),
}
if find_spec("sklearn"):  # which PEFT's AdaMSS clusters with
    CONFIGS["AdaMSS"] = peft.AdamssConfig(r=4, num_subspaces=3, subspace_rank=1, target_modules=[*LINEAR, "plain"])
NEED_NONE = ("MiSS mini",)  # without the base it is left out, for want of a shape


def save(folder: Path, config: peft.PeftConfig) -> tuple[Path, dict[str, Tensor]]:
    """An adapter of ``Tiny`` with random numbers; the base's file, and merged minus base by module."""
    torch.manual_seed(0)
    tiny = Tiny()
    before = {name: tensor.detach().clone() for name, tensor in tiny.state_dict().items()}
    save_file(before, folder / "base.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(tiny, config)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                nn.init.normal_(parameter, mean=2.0 if "magnitude" in name else 0.0, std=0.3)
        model.save_pretrained(folder / "adapter")
        after = model.merge_and_unload().state_dict()
    changes = {name.removesuffix(".weight"): after[name].detach() - before[name] for name in before if "weight" in name}
    return folder / "base.safetensors", {path: delta for path, delta in changes.items() if delta.abs().max() > 0}


def tau(module: Module) -> Tensor:
    update = module.update()
    return update.tuned if isinstance(update, Dense) else update.scale * update.b @ update.a


@pytest.mark.parametrize("name", CONFIGS)
def test_tau_is_what_peft_merges(tmp_path: Path, name: str) -> None:
    base, expected = save(tmp_path, CONFIGS[name])
    adapter = load_adapter(tmp_path / "adapter", base=base)
    assert adapter.modules.keys() == expected.keys() and expected
    for path, module in adapter.modules.items():
        found, true = tau(module), expected[path].flatten(1)
        assert module.shape == tuple(found.shape)
        true = true.mT if path in ("embed_tokens", "c_proj") else true
        torch.testing.assert_close(found, true.to(found.dtype), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in NEED_NONE])
def test_without_the_base_the_reason_is_said(tmp_path: Path, name: str) -> None:
    save(tmp_path, CONFIGS[name])
    with pytest.raises(TaskvecError, match=r"needs the base weights.*--base"):
        load_adapter(tmp_path / "adapter")


def test_digests_differ_by_base(tmp_path: Path) -> None:
    base, _ = save(tmp_path, CONFIGS["IA3"])
    first = load_adapter(tmp_path / "adapter", base=base).digest
    save_file({"q_proj.weight": torch.zeros(12, 12), "v_proj.weight": torch.zeros(6, 12),
               "down_proj.weight": torch.zeros(12, 24)}, tmp_path / "other.safetensors")  # fmt: skip
    assert load_adapter(tmp_path / "adapter", base=tmp_path / "other.safetensors").digest != first
    assert load_adapter(tmp_path / "adapter", base=base).digest == first


@pytest.mark.parametrize(("size", "factors"), [(2, 2), (2, 3), (4, 2), (4, 3)])
def test_the_orders_of_boft_are_those_of_peft(size: int, factors: int) -> None:
    inputs = 16
    for level in range(factors):
        parts = inputs // size >> level
        expected = BOFTLayer.block_butterfly_perm(None, inputs, parts, size // 2, factors - 1)
        torch.testing.assert_close(butterfly_order(inputs, parts, size // 2), expected)


def test_boft_of_several_factors_is_its_product_of_matrices(tmp_path: Path) -> None:
    """PEFT makes such files on GPUs alone."""
    weight, blocks, scale = torch.randn(5, 8), torch.randn(2, 4, 2, 2) / 3, torch.rand(5, 1) + 0.5
    product = torch.eye(8)
    for level in range(2):
        order = torch.eye(8)[BOFTLayer.block_butterfly_perm(None, 8, 4 >> level, 1, 1)]
        rotations = BOFTLayer.cayley_batch(None, blocks[level])
        product = order @ torch.block_diag(*rotations) @ order.mT @ product
    torch.testing.assert_close(butterfly(weight, blocks, scale), scale * (weight @ product.mT) - weight)


def adamss(folder: Path) -> tuple[Path, Path, Tensor]:
    """An AdaMSS adapter of one layer with a bias, its base, and its update; no client."""
    weight, bias, known = torch.randn(9, 6), torch.randn(9), torch.randn(3, 1, 4)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        u, _, v = torch.svd_lowrank(torch.cat([weight, bias[:, None]], 1), q=4, niter=2)
    labels = torch.from_numpy(kmeans(u.numpy(), 3))
    tensors = {"adamss_newB": v.mT.contiguous()}
    tau = torch.zeros(9, 6)
    for i in range(3):
        b = torch.randn(int((labels == i).sum()), 1)
        tensors |= {f"adamss_A.{i}": known[i], f"adamss_B.{i}": b}
        tau[labels == i] = b @ known[i] @ v.mT[:, :6]
    save_file({"h.0.q.weight": weight, "h.0.q.bias": bias}, folder / "base.safetensors")
    names = {f"{PREFIX}h.0.q.{role}": tensor for role, tensor in tensors.items()}
    adapter = write_adapter(folder / "adapter", names, peft_type="ADAMSS", random_seed=7)
    return folder / "base.safetensors", adapter, tau


def test_adamss_finds_its_clusters_again(tmp_path: Path) -> None:
    base, adapter, expected = adamss(tmp_path)
    (module,) = load_adapter(adapter, base=base).modules.values()
    torch.testing.assert_close(tau(module), expected, rtol=1e-4, atol=1e-5)


def test_another_base_of_adamss_is_told(tmp_path: Path) -> None:
    base, adapter, _ = adamss(tmp_path)
    save_file({name: torch.randn_like(tensor) for name, tensor in load_file(base).items()}, base)
    with pytest.raises(TaskvecError, match=r"other directions than this base.*trained on"):
        load_adapter(adapter, base=base)


def test_clusters_are_those_of_scikit_learn() -> None:
    cluster = pytest.importorskip("sklearn.cluster", reason="compared with scikit-learn")
    for n, count in ((24, 2), (40, 7), (12, 12), (9, 5)):
        points = torch.randn(n, 4).numpy()
        known = cluster.KMeans(count, init="random", n_init=1, max_iter=10, random_state=123456789)
        assert kmeans(points, count).tolist() == known.fit_predict(points).tolist()
