"""Classical fine-tuning (equation 1): every weight of a model is trained, and τ = W_t − W_0 is compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from taskvec import load_zoo, project, sweep
from taskvec.cli import main

from .conftest import save_adapter


class Model(nn.Module):
    """Two residual layers and a head over 24 features."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleDict({"up_proj": nn.Linear(24, 24, bias=False)}) for _ in range(2))
        self.lm_head = nn.Linear(24, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + torch.tanh(layer["up_proj"](x))
        return self.lm_head(x)


def save(folder: Path, model: nn.Module) -> Path:
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    return folder


def train(base: Model, inputs: Tensor, labels: Tensor, seed: int) -> Model:
    """A full fine-tune, by SGD on batches that the seed shuffles."""
    model = Model()
    model.load_state_dict(base.state_dict())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(150):
        some = torch.randint(len(inputs), (32,), generator=generator)
        loss = nn.functional.cross_entropy(model(inputs[some]), labels[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, trained twice each from one base, and a LoRA that the first fine-tune's largest directions make."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("classical")
    base, inputs = Model(), torch.randn(400, 24)
    save(folder / "base", base)
    tasks = [(inputs @ torch.randn(24, 6)).argmax(1) for _ in range(2)]
    (folder / "zoo").mkdir()
    for task, labels in enumerate(tasks):
        for seed in range(2):
            save(folder / "zoo" / f"task{task}-{seed}", train(base, inputs, labels, seed))
    first = train(base, inputs, tasks[0], 0).state_dict()
    factors = {}
    for name, before in base.state_dict().items():
        u, s, vh = torch.linalg.svd(first[name] - before, full_matrices=False)
        factors[name.removesuffix(".weight")] = (u[:, :4] * s[:4] / 4, vh[:4])  # alpha / r = 4
    save_adapter(folder / "zoo" / "lora", factors, rank=4)
    return folder


def test_runs_of_a_task_are_nearer_than_tasks(trained: Path) -> None:
    zoo = load_zoo(trained / "zoo", base=trained / "base")
    assert [adapter.name for adapter in zoo.adapters] == ["lora", "task0-0", "task0-1", "task1-0", "task1-1"]
    result = sweep(zoo)
    cosine = result["cosine"].mean("module").values
    assert cosine[1, 2] > 0.5 > cosine[1, 3] and cosine[3, 4] > 0.5 > cosine[2, 4]
    captured = result["captured"].mean("module").values
    assert captured[1, 0] > 0.99 and captured[0, 1] > captured[0, 3]


def test_a_full_fine_tune_and_a_lora_of_one_base(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lora, tuned = trained / "zoo/lora", f"{trained}/base..{trained}/zoo/task0-0"
    document = project(tuned, lora)
    assert document.mean["cosine"] > 0.8
    assert main(["project", str(lora), tuned, "--json"]) == 0
    (other,) = json.loads(capsys.readouterr().out)["results"]
    assert other["mean"]["cosine"] == pytest.approx(document.mean["cosine"], rel=1e-4)


def test_the_command_line_takes_checkpoints_and_adapters(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, tuned = tmp_path / "out.zarr", f"{trained}/base..{trained}/zoo/task1-0"
    assert main(["sweep", str(trained / "zoo/lora"), tuned, "-o", str(out), "--rank", "6"]) == 0
    assert "task1-0" in capsys.readouterr().out
