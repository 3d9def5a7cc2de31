"""Starts of training that are no part of the update: marked by the factors' values, taken off where they are saved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from make_adapters import PREFIX, pairs, write_adapter
from taskvec import TaskvecError, load_adapter
from taskvec.adapters import Dense, Module
from taskvec.formats.starts import COHERENCE, _are_coherent

PATHS = ("h.0.q", "h.1.q", "h.2.q")


def pissa(drift: float, seed: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Factors of rank 4 after and at a start from a weight's principal directions, as PEFT writes it."""
    torch.manual_seed(seed)
    start, end = {}, {}
    for path in PATHS:
        U, S, Vh = torch.linalg.svd(torch.randn(40, 30), full_matrices=False)
        b, a = U[:, :4] * S[:4].sqrt(), S[:4].sqrt()[:, None] * Vh[:4]
        for role, t in (("A", a), ("B", b)):
            name = f"{PREFIX}{path}.lora_{role}.weight"
            start[name] = t.contiguous()
            end[name] = (t + drift * float(t.std()) * torch.randn_like(t)).contiguous()
    return end, start


def tau(module: Module) -> Tensor:
    made = module.update()
    return made.tuned if isinstance(made, Dense) else made.scale * made.b @ made.a


def test_an_untouched_start_is_marked_by_its_values(tmp_path: Path) -> None:
    end, _ = pissa(0.02)
    adapter = load_adapter(write_adapter(tmp_path, end, r=4, init_lora_weights=True))
    assert {module.start for module in adapter.modules.values()} == {"pissa"}
    assert adapter.warnings[0].startswith("3 of 3 modules: B and A are balanced as a start")


@pytest.mark.parametrize("tensors", [pissa(1.0)[0], pairs(*PATHS, r=1), pairs(*PATHS, r=4, m=40, n=30)])
def test_others_are_not(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    adapter = load_adapter(write_adapter(tmp_path, tensors, r=len(next(iter(tensors.values())))))
    assert {module.start for module in adapter.modules.values()} == {None} and adapter.warnings == ()


def test_numbers_near_the_largest_of_fp32_are_no_start(tmp_path: Path) -> None:
    """Their products are infinite, and nothing is said of it."""
    huge = {name: 1e30 * t for name, t in pissa(0.02)[0].items()}
    adapter = load_adapter(write_adapter(tmp_path, huge, r=4))
    assert {module.start for module in adapter.modules.values()} == {None}


def test_a_single_file_too(tmp_path: Path) -> None:
    roles = {"A": "lora_down", "B": "lora_up"}
    tensors = {
        f"lora_unet_{path.replace('.', '_')}.{roles[role]}.weight": pissa(0.02)[0][f"{PREFIX}{path}.lora_{role}.weight"]
        for path in PATHS
        for role in roles
    }
    save_file(tensors, tmp_path / "style.safetensors")
    assert {module.start for module in load_adapter(tmp_path).modules.values()} == {"pissa"}


@pytest.mark.parametrize("named", [True, "pissa", "pissa_niter_4", "olora", "loftq"])
@pytest.mark.parametrize("where", ["in/pissa_init", "pissa_init", "in/init"])
def test_a_start_that_is_saved_beside_is_taken_off(tmp_path: Path, named: object, where: str) -> None:
    end, start = pissa(0.02)
    folder = write_adapter(tmp_path / "in", end, r=4, lora_alpha=6, init_lora_weights=named)
    alone = None if named is not True else load_adapter(folder).digest
    write_adapter(tmp_path / where, start, r=4, lora_alpha=6)
    adapter = load_adapter(folder)
    assert adapter.warnings == () and adapter.digest != alone
    for path, module in adapter.modules.items():
        a, b = (f"{PREFIX}{path}.lora_{role}.weight" for role in "AB")
        torch.testing.assert_close(tau(module), 1.5 * (end[b] @ end[a] - start[b] @ start[a]))
        assert module.rank == 8 and module.start is None and "less the start in" in module.scale_source


def test_a_start_of_another_adapter_is_an_error(tmp_path: Path) -> None:
    end, start = pissa(0.02)
    folder = write_adapter(tmp_path / "in", end, r=4)
    first = next(iter(start))
    write_adapter(folder / "pissa_init", start | {first: start[first][:, 1:].contiguous()}, r=4)
    with pytest.raises(TaskvecError, match=r"pissa_init/adapter_model.safetensors: is no start of .* differs"):
        load_adapter(folder)


def test_a_start_of_other_weights_is_not_taken_off(tmp_path: Path) -> None:
    end, start = pissa(0.02)[0], pissa(0.02, seed=1)[1]
    folder = write_adapter(tmp_path / "in", end, r=4)
    write_adapter(tmp_path / "pissa_init", start, r=4)
    assert {module.start for module in load_adapter(folder).modules.values()} == {"pissa"}
    with pytest.raises(TaskvecError, match=r"pissa_init/.*: is no start of .*: its factors are others"):
        load_adapter(write_adapter(tmp_path / "in", end, r=4, init_lora_weights="pissa"))


def test_only_documented_places_are_looked_at(tmp_path: Path) -> None:
    """A zoo may hold anything: what lies next to an adapter is no start of it, whatever it is called."""
    end, start = pissa(0.02)
    folder = write_adapter(tmp_path / "in", end, r=4)
    for name in ("init", "my_init", "pissa_init_2"):
        write_adapter(tmp_path / name, start, r=4)
    assert {module.start for module in load_adapter(folder).modules.values()} == {"pissa"}


@pytest.mark.parametrize(("decay", "known"), [(0.1, True), (0.97, False)])
def test_a_random_start_is_taken_from_the_base_where_two_draws_agree(tmp_path: Path, decay: float, known: bool) -> None:
    torch.manual_seed(0)
    U, S, V = (
        torch.linalg.qr(torch.randn(40, 30)).Q,
        decay ** torch.arange(30.0),
        torch.linalg.qr(torch.randn(30, 30)).Q,
    )
    weight, b, a = U * S @ V, U[:, :4] * S[:4].sqrt(), S[:4].sqrt()[:, None] * V[:4]
    save_file({"h.0.q.weight": weight}, tmp_path / "base.safetensors")
    change = torch.randn(40, 4) / 20
    tensors = {
        f"{PREFIX}h.0.q.lora_B.weight": (b + change).contiguous(),
        f"{PREFIX}h.0.q.lora_A.weight": a.contiguous(),
    }
    folder = write_adapter(tmp_path / "in", tensors, r=4, lora_alpha=4, init_lora_weights="pissa_niter_4")
    with pytest.raises(TaskvecError, match=r"needs the base weights.*--base"):
        load_adapter(folder)
    if known:
        adapter = load_adapter(folder, base=tmp_path / "base.safetensors")
        torch.testing.assert_close(tau(adapter.modules["h.0.q"]), change @ a, rtol=1e-3, atol=1e-4)
        assert "its start was a random SVD" in adapter.warnings[0]
    else:
        with pytest.raises(TaskvecError, match=r"only up to a share of .* of τ.*pissa_init"):
            load_adapter(folder, base=tmp_path / "base.safetensors")


def test_no_real_adapter_is_marked(real_adapters: Path) -> None:
    for file in sorted(real_adapters.glob("*/*/adapter_model.*")):
        try:
            adapter = load_adapter(file.parent, name="one")
        except TaskvecError:
            continue
        assert {module.start for module in adapter.modules.values()} == {None}, file


def test_reported_adapters_of_pissa(tmp_path: Path) -> None:
    folder = os.environ.get("TASKVEC_TEST_CASES")
    if not folder:
        pytest.skip("TASKVEC_TEST_CASES names no folder of reported inputs")
    for name in ("task1", "task2"):
        source = Path(folder) / "26-pissa-named/in" / name
        with pytest.raises(TaskvecError, match="was initialised by pissa"):
            load_adapter(source)
        (tmp_path / name).mkdir()
        for file in source.iterdir():
            text = file.read_bytes().replace(b'"pissa_niter_16"', b"true")  # as the official recipes leave it
            (tmp_path / name / file.name).write_bytes(text)
        assert {module.start for module in load_adapter(tmp_path / name).modules.values()} == {"pissa"}


def test_what_b_alone_rules_out_is_no_start(tmp_path: Path) -> None:
    """The median coherence is beyond the bound then, by its definition in fp64; and most adapters are ruled out."""
    refused = 0
    for case in range(40):
        tensors = pissa(0.03 * case, seed=case)[0]
        modules = load_adapter(write_adapter(tmp_path / str(case), tensors, r=4)).modules.values()
        columns = [module.update().b.double() for module in modules]
        cosines = [b.mT @ b / b.norm(dim=0) / b.norm(dim=0)[:, None] for b in columns]
        coherence = [float(((c.square().sum() - 4) / 12).sqrt()) for c in cosines]
        ruled_out = _are_coherent([module.update for module in modules])
        assert ruled_out == (sorted(coherence)[1] >= COHERENCE)
        refused += ruled_out
    assert 10 < refused < 40
