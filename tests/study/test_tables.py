"""The study's tables are made from its CSV files, and say what these say; on random adapters of the study's names."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import taskvec
from taskvec.adapters import Adapter, LowRank, Module

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("sum-s0", "ner-s0", "ten-s0", "sum-s1", "ner-s1", "ten-s1", "sum-s0-shared", "ner-s0-shared", "ten-s0-shared")
TRUTH = {
    "schema": "taskvec.truth/1",
    "groups": {task: [f"{task}-s{s}" for s in (0, 1)] for task in ("sum", "ner", "ten", "both")},
    "seeds": {str(s): [f"{task}-s{s}" for task in ("sum", "ner", "ten", "both")] for s in (0, 1)},
    "contains": [{"container": "both", "part": "ner", "pairs": "same seed", "relation": "merge ⊃ part"}],
    "same": [{"among": ["ner"]}],
    "unrelated": [{"between": ["sum", "ten"]}],
}
Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]  # by module path: B (m, r), A (r, n)


def adapter(name: str, factors: Factors) -> Adapter:
    modules = {}
    for path, (b, a) in factors.items():
        update = LowRank(b, a, 1.0)
        modules[path] = Module(path, (len(b), a.shape[1]), len(a), None, 1.0, "made", lambda update=update: update)
    return Adapter(name, Path(name), "made", None, modules, digest=name)


def adapters() -> list[Adapter]:
    """Shared ones have their A in common; ``both`` is the sum of ner and sum."""
    generator = torch.Generator().manual_seed(1)
    paths = [f"h.{layer}.{kind}" for layer in range(6) for kind in ("q", "v")]
    common = {path: torch.randn(2, 40, generator=generator) for path in paths}
    made: dict[str, Factors] = {}
    for name in NAMES:
        inputs = common if "shared" in name else {path: torch.randn(2, 40, generator=generator) for path in paths}
        made[name] = {path: (torch.randn(48, 2, generator=generator), inputs[path]) for path in paths}
    for s in (0, 1):
        one, two = made[f"ner-s{s}"], made[f"sum-s{s}"]
        made[f"both-s{s}"] = {
            path: (torch.cat([one[path][0], two[path][0]], 1), torch.cat([one[path][1], two[path][1]]))
            for path in paths
        }
    return [adapter(name, factors) for name, factors in made.items()]


def save(made: Adapter, folder: Path, modules: int = 99) -> None:
    folder.mkdir(parents=True)
    tensors = {}
    for path, module in list(made.modules.items())[:modules]:
        b, a, _ = module.update()
        tensors |= {f"base_model.model.{path}.lora_{name}.weight": x.contiguous() for name, x in (("A", a), ("B", b))}
        rank = len(a)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "base_model_name_or_path": "made"}
    (folder / "adapter_config.json").write_text(json.dumps(config))


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("study.compare"), importlib.import_module("study.tables")


def test_from_a_result_to_tables(study, tmp_path, monkeypatch) -> None:
    compare, tables = study
    base = tmp_path / "instruct"
    base.mkdir()
    for made in adapters():
        save(made, base / "adapters" / made.name)
    taskvec.sweep([base / "adapters"], base / "result.zarr")
    (base / "truth.json").write_text(json.dumps(TRUTH))
    ends = [(f"{a}-s0", f"{b}-s0") for a in ("both", "ner", "ten") for b in ("sum", "ner") if a != b]
    pairs = [(*pair, float(pair[0] == "both-s0")) for pair in ends]
    pd.DataFrame(pairs, columns=["source", "target", "behaviour"]).to_csv(base / "behaviour.csv", index=False)
    scores = [("sum", "zero-shot", "", 10), ("sum", "LoRA", 8, 50), ("sum", "LoRA", 8, 60), ("sum", "LoRA", 16, 70)]
    columns = ["task", "setting", "rank", "rougeLsum"]
    pd.DataFrame(scores, columns=columns).to_csv(base / "scores.csv", index=False)
    monkeypatch.setattr(compare, "along_lambda", lambda *_: pd.DataFrame({"solver": []}))  # has a test of its own
    compare.write_comparison(base)
    text = tables.write_tables(tmp_path).read_text()
    captured = next(line for line in text.splitlines() if line.startswith("- `captured`"))
    assert "right about 1.00 [1.00, 1.00] of the directions" in captured
    assert "Pairs with starts of their own: 0 of 6 flagged" in text
    assert "Pairs with a shared start: 3 of 3 flagged" in text
    assert "| sum | LoRA | 8 | 2 | 55.00 |" in text and "| sum | zero-shot |  | 1 | 10.00 |" in text
    tests = pd.read_csv(base / "tests.csv")
    assert set(tests["seed"]) == {"s0", "s1", "s0, shared start"}
    first = tests[(tests["metric"] == "rec") & (tests["seed"] == "s0")].iloc[0]
    assert f"s0 {first['of_first']:.3f} against {first['of_second']:.3f} (p = {first['p']:.2g})" in text
    assert "### Forgetting" not in text and "### λ" not in text  # there is no such file, or nothing in it


def test_sum_and_ner_along_lambda(study, zoo_of_two) -> None:
    frame = study[0].along_lambda(zoo_of_two, {"sum-s0", "ner-s0"})
    assert set(frame["solver"]) == {"exact", *study[0].SOLVERS}
    exact, ended = (
        frame[frame["solver"] == name].set_index(["source", "lam"]) for name in ("exact", "clip, to the end")
    )
    assert len(exact) == 2 * len(study[0].LAMBDAS)
    assert (exact["rec"] - ended["rec"]).abs().max() < 0.05
    assert len(study[1].of_lambda(frame)) == 2 + len(frame)


@pytest.fixture
def zoo_of_two(tmp_path) -> Path:
    for made in adapters()[:2]:
        save(made, tmp_path / made.name, modules=2)
    return tmp_path


def test_a_folder_without_results_is_an_error(study, tmp_path) -> None:
    with pytest.raises(SystemExit, match=r"no folder in it has a score.csv"):
        study[1].write_tables(tmp_path)
