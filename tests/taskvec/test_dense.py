"""Task vectors of full fine-tunes: pairs of checkpoints, and what two checkpoints of one model may differ in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from taskvec import Solver, TaskvecError, load_adapter, load_zoo, sweep
from taskvec.adapters import Dense, Module
from taskvec.cli import main
from taskvec.formats.checkpoint import Checkpoint
from taskvec.formats.dense import floor
from taskvec.formats.reading.files import digest
from taskvec.formats.reading.held import read_once
from taskvec.inspect import inspect_module
from taskvec_kernels import sparsify

GENERATOR = torch.Generator().manual_seed(5)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR)


SHAPES = {
    "model.embed_tokens.weight": (20, 12),
    "model.layers.0.self_attn.q_proj.weight": (12, 12),
    "model.layers.1.self_attn.q_proj.weight": (12, 12),
    "model.layers.0.mlp.up_proj.weight": (16, 12),
    "model.norm.weight": (12,),
    "lm_head.weight": (20, 12),
}
BASE = {name: random(*shape) for name, shape in SHAPES.items()}
Q = "model.layers.0.self_attn.q_proj"


def tuned(size: float = 0.01, **changes: Tensor | None) -> dict[str, Tensor]:
    """A fine-tune of BASE; None leaves a tensor out."""
    made: dict[str, Tensor | None] = {name: value + size * random(*value.shape) for name, value in BASE.items()}
    return {name: value for name, value in (made | changes).items() if value is not None}


def save(folder: Path, tensors: Mapping[str, Tensor], **config: Any) -> Path:
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"} | config))
    return folder


def pair(tmp_path: Path, after: Mapping[str, Tensor], before: Mapping[str, Tensor] = BASE, **config: Any) -> str:
    return f"{save(tmp_path / 'base', before, **config)}..{save(tmp_path / 'tuned', after)}"


def tau(module: Module) -> Tensor:
    update = module.update()
    assert isinstance(update, Dense) and update.base is not None
    return update.tuned.double() - update.base.double()


def test_every_matrix_is_a_module(tmp_path: Path) -> None:
    after = tuned()
    adapter = load_adapter(pair(tmp_path, after))
    assert set(adapter.modules) == {name.removesuffix(".weight") for name in SHAPES if len(SHAPES[name]) == 2}
    for path, module in adapter.modules.items():
        name = f"{path}.weight"
        expected = after[name].double() - BASE[name].double()
        assert torch.equal(tau(module), expected.mT if path == "model.embed_tokens" else expected)
        true = torch.linalg.svdvals(expected)
        torch.testing.assert_close(torch.tensor(inspect_module(module)["spectrum"]), true.float())
    (item,) = adapter.left_out
    assert item.tensor == "model.norm.weight" and "vector" in item.reason


def test_base_as_an_option_and_as_part_of_the_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = pair(tmp_path, tuned())
    base, after = both.split("..")
    assert load_adapter(both).digest == load_adapter(after, base=base).digest
    assert main(["project", after, both, "--base", base, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["mean"]["rec"] == pytest.approx(1)
    with pytest.raises(TaskvecError, match="no adapter"):
        load_adapter(after)


def test_paths_that_climb_are_no_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair(tmp_path, tuned())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert len(load_adapter("../base..../tuned").modules) == 5
    for path in ("../tuned", "../here/../tuned"):
        assert len(load_adapter(path, base="../base").modules) == 5
    with pytest.raises(TaskvecError, match="nowhere: no such file"):
        load_adapter("../base..nowhere")


def test_a_folder_of_fine_tunes(tmp_path: Path) -> None:
    base = save(tmp_path / "base", BASE)
    (tmp_path / "zoo").mkdir()
    for name in ("a", "b"):
        save(tmp_path / "zoo" / name, tuned())
    zoo = load_zoo(tmp_path / "zoo", base=base)
    assert [adapter.name for adapter in zoo.adapters] == ["a", "b"]
    rec = sweep(zoo)["rec"].values
    assert rec.shape == (5, 2, 2) and (rec[:, 0, 0] > 0.999).all() and (rec[:, 0, 1] < 0.9).all()


def test_tied_and_untied_heads(tmp_path: Path) -> None:
    base = {name: value for name, value in BASE.items() if name != "lm_head.weight"}
    after = tuned()
    both = load_adapter(pair(tmp_path, after, base, tie_word_embeddings=True))
    expected = after["lm_head.weight"].double() - BASE["model.embed_tokens.weight"].double()
    assert torch.equal(tau(both.modules["lm_head"]), expected)


def test_a_head_that_is_the_embedding_counts_once(tmp_path: Path) -> None:
    base = {name: value for name, value in BASE.items() if name != "lm_head.weight"}
    after = tuned()
    after["lm_head.weight"] = after["model.embed_tokens.weight"].clone()
    adapter = load_adapter(pair(tmp_path, after, base))
    assert "lm_head" not in adapter.modules
    assert any(item.tensor == "lm_head.weight" and "tied" in item.reason for item in adapter.left_out)


def test_a_vocabulary_that_grew(tmp_path: Path) -> None:
    grown = torch.cat([BASE["model.embed_tokens.weight"] + 0.1, random(4, 12)])
    adapter = load_adapter(pair(tmp_path, tuned() | {"model.embed_tokens.weight": grown}))
    assert adapter.modules["model.embed_tokens"].shape == (12, 20)
    assert any("4 rows" in item.reason for item in adapter.left_out)


def test_other_shapes_buffers_and_strangers_are_named(tmp_path: Path) -> None:
    extra = {
        f"{Q}.weight": random(12, 6),
        "model.rotary_emb.inv_freq": random(4, 1),
        "score.weight": random(2, 12),
    }
    adapter = load_adapter(pair(tmp_path, tuned() | extra, BASE | {"model.rotary_emb.inv_freq": random(4, 1)}))
    reasons = {item.tensor: item.reason for item in adapter.left_out}
    assert "another shape" in reasons[f"{Q}.weight"] and "12×6 and 12×12" in reasons[f"{Q}.weight"]
    assert "buffer" in reasons["model.rotary_emb.inv_freq"]
    assert "no tensor of the base" in reasons["score.weight"]
    assert len(adapter.modules) == 4


def test_wrappers_are_no_other_names(tmp_path: Path) -> None:
    after = {f"_orig_mod.module.{name}": value for name, value in tuned().items()}
    assert len(load_adapter(pair(tmp_path, after)).modules) == 5


def test_renamed_checkpoints(tmp_path: Path) -> None:
    """A vision model as two versions of a library name it; what only one has is named."""
    after = tuned()
    others = {f"language_model.{name}": value for name, value in after.items()}
    before = {name.replace("model.", "model.language_model.", 1): value for name, value in BASE.items()}
    adapter = load_adapter(pair(tmp_path, others, before))
    assert f"language_model.{Q}" in adapter.modules
    for path, module in adapter.modules.items():
        name = f"{path.removeprefix('language_model.')}.weight"
        expected = after[name].double() - BASE[name].double()
        assert torch.equal(tau(module), expected.mT if "embed" in name else expected)
    missing = {"language_model.lm_head.weight", "lm_head.weight"} - set(adapter.modules)
    assert all("no tensor" in x.reason or "vector" in x.reason or x.tensor in missing for x in adapter.left_out)


def test_experts_one_by_one(tmp_path: Path) -> None:
    name = "model.layers.0.mlp.experts.down_proj"
    before = BASE | {name: random(3, 8, 6)}
    after = tuned() | {name: before[name] + 0.1}
    modules = load_adapter(pair(tmp_path, after, before)).modules
    assert [modules[f"{name}[{e}]"].shape for e in range(3)] == [(8, 6)] * 3


def test_unchanged_modules_have_a_zero_spectrum(tmp_path: Path) -> None:
    after = BASE | {f"{Q}.weight": BASE[f"{Q}.weight"] + random(12, 2) @ random(2, 12)}
    adapter = load_adapter(pair(tmp_path, after))
    assert "4 of 5 modules are as in the base" in adapter.warnings[0]
    assert inspect_module(adapter.modules["lm_head"])["norm"] == 0.0
    spectrum = inspect_module(adapter.modules[Q])["spectrum"]
    assert spectrum[1] > 0.1 and spectrum[2] < 1e-5


@pytest.mark.parametrize(
    ("size", "words"), [(0.05, "of ‖τ‖ of a module"), (0.01, "more than 10%"), (1e-5, "not training")]
)
def test_rounding_is_said(tmp_path: Path, size: float, words: str) -> None:
    adapter = load_adapter(pair(tmp_path, {name: value.bfloat16() for name, value in tuned(size).items()}))
    assert any(words in warning for warning in adapter.warnings)
    assert load_adapter(f"{tmp_path / 'base'}..{save(tmp_path / 'full', tuned(size))}").warnings[:-1] == ()


def test_nothing_in_common(tmp_path: Path) -> None:
    with pytest.raises(TaskvecError, match="shares no matrix with"):
        load_adapter(pair(tmp_path, {"other.weight": random(3, 4)}))


METRICS = ["rec", "l1", "l2", "cosine", "captured", "captured_out", "captured_in", "energy", "excess", "residual"]


@pytest.fixture
def fine_tunes(tmp_path: Path) -> tuple[Path, list[Path]]:
    """A base and three full fine-tunes of it whose spectra fall off."""
    base = save(tmp_path / "base", {"a.weight": random(40, 30), "b.weight": random(24, 50)})
    before = {"a.weight": random(40, 30), "b.weight": random(24, 50)}
    save_file(before, base / "model.safetensors")
    folders = []
    for name in "xyz":
        after = {}
        for key, value in before.items():
            u, _, vh = torch.linalg.svd(random(*value.shape), full_matrices=False)
            after[key] = value + (u * 0.8 ** torch.arange(u.shape[1])) @ vh
        folders.append(save(tmp_path / name, after))
    return base, folders


def test_cut_to_a_rank_targets_stay_exact(fine_tunes: tuple[Path, list[Path]]) -> None:
    base, folders = fine_tunes
    whole, cut = (load_zoo(folders, base=base, **options) for options in ({}, {"rank": 6}))
    assert [module.rank for module in cut.adapters[0].modules.values()] == [6, 6]
    found = sweep(cut, metrics=METRICS)
    lengths = [[float(tau(module).norm()) for module in adapter.modules.values()] for adapter in whole.adapters]
    torch.testing.assert_close(torch.from_numpy(found["norm"].values.copy()), torch.tensor(lengths).T)
    for j, module in enumerate(found["module"].values):
        changes = [tau(adapter.modules[module]) for adapter in whole.adapters]
        for s, source in enumerate(changes):
            u, spectrum, vh = (t[..., :6] if i < 2 else t[:6] for i, t in enumerate(torch.linalg.svd(source, False)))
            for t, target in enumerate(changes):
                block, square = u.mT @ target @ vh.mT, target.square().sum()
                d = block.diagonal().clamp(min=0)
                truth = {
                    "l1": (spectrum - d).abs().sum(),
                    "captured": block.square().sum() / square,
                    "captured_out": (u.mT @ target).square().sum() / square,
                    "captured_in": (target @ vh.mT).square().sum() / square,
                    "energy": d.square().sum() / square,
                    "residual": ((u * d) @ vh - target).norm() / square.sqrt(),
                }
                for name, value in truth.items():
                    assert float(found[name][j, s, t]) == pytest.approx(float(value), rel=2e-3, abs=1e-4), name


def test_the_randomised_svd_finds_the_leading_directions(fine_tunes: tuple[Path, list[Path]]) -> None:
    base, folders = fine_tunes
    (module, _) = load_adapter(folders[0], base=base, rank=6).modules.values()
    document = inspect_module(module)
    true = torch.linalg.svdvals(tau(module))
    torch.testing.assert_close(torch.tensor(document["spectrum"]), true[:6].float(), rtol=1e-4, atol=0)
    assert document["norm"] == pytest.approx(float(true.norm()))
    share = float(true[:6].square().sum() / true.square().sum())
    assert document["warnings"] == [f"cut to 6 directions, which hold {share:.2%} of ‖τ‖²"]
    whole = load_adapter(folders[0], base=base, exact=True)
    assert [module.rank for module in whole.modules.values()] == [30, 24]


def test_directions_of_rounding_are_no_source(tmp_path: Path) -> None:
    """A low-rank change that is saved in bfloat16: what is compared has its rank, what is inspected is the file's."""
    before = {"a.weight": random(60, 50)}
    change = 3 * torch.outer(random(60), random(50)) / 50
    base = save(tmp_path / "base", before)
    save(tmp_path / "x", {"a.weight": (before["a.weight"] + change).bfloat16()})
    zoo = load_zoo([tmp_path / "x"], base=base)
    assert (sweep(zoo)["spectrum"].values > 0).sum() == 1
    assert len(inspect_module(zoo.adapters[0].modules["a"])["spectrum"]) == 50


@pytest.mark.parametrize("shape", [(12, 12), (60, 50), (200, 20), (300, 300)])
def test_rounding_alone_stays_below_its_floor(shape: tuple[int, int]) -> None:
    """In all but a hundredth of the cases, and not far below."""
    largest = []
    for _ in range(100):
        base = random(*shape)
        update = Dense(base, (base + 3 * torch.outer(random(shape[0]), random(shape[1])) / 50).bfloat16())
        second = torch.linalg.svdvals(update.tuned.double() - base.double())[1]
        largest.append(float(second) / floor(update))
    assert sum(one > 1 for one in largest) <= 4  # by chance in 1 of 270 runs, if it were a hundredth
    assert max(largest) > 0.75


def test_wrong_options(tmp_path: Path) -> None:
    for options in ({"rank": 0}, {"rank": 3, "exact": True}):
        with pytest.raises(TaskvecError, match="rank"):
            load_adapter(tmp_path, **options)


def test_solvers_see_the_whole_target(fine_tunes: tuple[Path, list[Path]]) -> None:
    base, folders = fine_tunes
    zoo = load_zoo(folders[:2], base=base, rank=6)
    random_start = Solver([0.0, 0.01], method="adam", start="normal", steps=20)
    assert sweep(zoo, solver=random_start, metrics=["rec", "l1"])["l1"].notnull().all()
    found = sweep(zoo, lam=[0.0, 0.01], metrics=["rec", "l1"])["l1"]
    for j, path in enumerate(found["module"].values):
        source, target = (tau(adapter.modules[path]) for adapter in zoo.adapters)
        u, spectrum, vh = torch.linalg.svd(source, full_matrices=False)
        d = (u[:, :6].mT @ target @ vh[:6].mT).diagonal()
        for i, lam in enumerate((0.0, 0.01)):
            expected = (spectrum[:6] - sparsify(d, target.norm(), lam)).abs().sum()
            value = found.isel(module=j, lam=i, source=0, target=1)
            assert float(value) == pytest.approx(float(expected), rel=2e-3)


def read_bytes() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux, which counts the bytes that are read")
def test_large_checkpoints_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {
        "model.layers.0.mlp.experts.gate_up_proj": random(8, 300, 40),
        "model.layers.0.q_proj.weight": random(300, 300),
        "model.norm.weight": random(300),
    }
    both = pair(tmp_path, {name: value + 0.01 for name, value in before.items()}, before)
    expected = load_adapter(both).digest
    monkeypatch.setattr("taskvec.formats.reading.held.HELD_BYTES", 0)
    monkeypatch.setattr("taskvec.formats.reading.held.PIECE_BYTES", 1000)
    for name in ("base", "tuned"):  # not those that are known
        (tmp_path / name).rename(tmp_path / f"{name}-again")
    size = sum(file.stat().st_size for file in tmp_path.rglob("*"))
    start = read_bytes()
    adapter = load_adapter(both.replace("base", "base-again").replace("tuned", "tuned-again"))
    assert read_bytes() - start < 1.1 * size and adapter.digest == expected
    assert len(adapter.modules) == 9
    start = read_bytes()
    adapter.modules["model.layers.0.mlp.experts.gate_up_proj[3]"].update()
    assert read_bytes() - start < 0.1 * size


def test_a_hash_that_grows_while_tensors_are_read_is_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskvec.formats.reading.held.HELD_BYTES", 0)
    save(tmp_path / "model", BASE)
    file = tmp_path / "model/model.safetensors"
    for order in (sorted(BASE), sorted(BASE, reverse=True), sorted(BASE)[3:4], []):
        with read_once():
            checkpoint = Checkpoint(tmp_path / "model")
            checkpoint.hash_along()
            for name in order:
                assert torch.equal(checkpoint.matrix(name), BASE[name])
            assert checkpoint.digest == digest(file)


def experts(names: tuple[str, str, str], holder: str, change: float) -> dict[str, Tensor]:
    """Two experts of one layer as a list of modules: gate, up (6, 4) and down (4, 6)."""
    generator = torch.Generator().manual_seed(5)
    shapes = ((6, 4), (6, 4), (4, 6))
    return {
        f"model.layers.0.{holder}.experts.{e}.{name}.weight": torch.randn(shape, generator=generator) + change * (e + 1)
        for e in range(2)
        for name, shape in zip(names, shapes, strict=True)
    }


def stacked(listed: Mapping[str, Tensor], *, turned: bool = False) -> dict[str, Tensor]:
    """The same as transformers 5 has them: gate and up in one, all experts in one tensor."""
    each = list(listed.values())
    gate_up = torch.stack([torch.cat(each[0:2]), torch.cat(each[3:5])])
    made = {"gate_up_proj": gate_up, "down_proj": torch.stack([each[2], each[5]])}
    return {f"model.layers.0.mlp.experts.{name}": (t.mT if turned else t).contiguous() for name, t in made.items()}


NAMES = {"block_sparse_moe": ("w1", "w3", "w2"), "mlp": ("gate_proj", "up_proj", "down_proj")}


@pytest.mark.parametrize("holder", NAMES)
def test_experts_of_transformers_5_against_a_base_of_4(tmp_path: Path, holder: str) -> None:
    before, after = (experts(NAMES[holder], holder, change) for change in (0.0, 0.5))
    adapter = load_adapter(pair(tmp_path, stacked(after), before))
    assert len(adapter.modules) == 4 and adapter.left_out == ()
    expected = {
        path: new - old for (path, new), old in zip(stacked(after).items(), stacked(before).values(), strict=True)
    }
    for path, module in adapter.modules.items():
        name, e = path[:-1].rsplit("[", 1)
        torch.testing.assert_close(tau(module), expected[name][int(e)].double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("holder", NAMES)
def test_experts_of_transformers_4_against_a_base_of_5(tmp_path: Path, holder: str) -> None:
    before, after = (experts(NAMES[holder], holder, change) for change in (0.0, 0.5))
    adapter = load_adapter(pair(tmp_path, after, stacked(before)))
    assert adapter.modules.keys() == {name.removesuffix(".weight") for name in after} and adapter.left_out == ()
    for path, module in adapter.modules.items():
        torch.testing.assert_close(
            tau(module), (after[f"{path}.weight"] - before[f"{path}.weight"]).double(), rtol=1e-5, atol=1e-6
        )


def test_stacks_that_are_stored_in_by_out_are_turned(tmp_path: Path) -> None:
    """As gpt-oss and Llama 4 store them: updates are out × in, as those of adapters."""
    before, after = (stacked(experts(NAMES["mlp"], "mlp", change), turned=True) for change in (0.0, 0.5))
    adapter = load_adapter(pair(tmp_path, after, before))
    assert {module.shape for module in adapter.modules.values()} == {(12, 4), (4, 6)}
    name = "model.layers.0.mlp.experts.gate_up_proj"
    torch.testing.assert_close(
        tau(adapter.modules[f"{name}[1]"]), (after[name] - before[name])[1].mT.double(), rtol=1e-5, atol=1e-6
    )
