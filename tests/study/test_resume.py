"""A study of a tiny model from end to end, once in one go and once killed on the way: the same bytes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from study.crew import Board
from study.plan import PlanError, read_plan
from study.settings import keep_settings
from study.steps import Course, Step

ROOT = Path(__file__).parents[2]
PLAN = """
seeds = [0]
[base.tiny]
family = "causal"
model = "{model}"
[corpus]
train = 4
test = 2
[training]
steps = 4
snapshots = [2]
learning_rate = 1e-2
rank = 2
alpha = 4
[adapters.tasks]
tasks = ["per", "ten"]
[merges]
parts = [["per", "ten"]]
cut = 2
[norms]
tasks = ["per"]
[measure]
loss_documents = 1
answer_documents = 1
shots = 1
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan on a Llama of two layers with random weights, which reads single bytes."""
    pytest.importorskip("peft", reason="the study trains with peft")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("study")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: number for number, character in enumerate(["<end>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder / "model")
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        eos_token_id=0,
        bos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    path = folder / "plan.toml"
    path.write_text(PLAN.format(model=folder / "model"))
    return path


def command(plan: Path, out: Path) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "study", str(plan), "--out", str(out), "--workers", "1"]


def environment() -> dict[str, str]:
    folders = [str(ROOT / "examples"), *sys.path]
    return os.environ | {"PYTHONPATH": os.pathsep.join(folders), "HF_HUB_OFFLINE": "1"}


def run(plan: Path, out: Path) -> str:
    done = subprocess.run(command(plan, out), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def made(out: Path) -> dict[str, bytes]:
    """The adapters and what is said of them, without the seconds that it took."""
    files = [*out.glob("tiny/adapters/*/*"), *out.glob("tiny/*.json"), *out.glob("tiny/[bfls][a-z]*.csv")]
    return {str(f.relative_to(out)): f.read_bytes() for f in files if f.name != "seconds.csv"}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_killed_and_run_again_it_gives_the_same_adapters(plan: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    log = run(plan, whole)
    assert "steps left, about" in log
    expected = made(whole)
    names = ["per-s0", "per-s0-at2", "per-s0-x3", "per-with-ten-s0", "per-with-ten-s0-r2", "ten-s0", "ten-s0-at2"]
    assert sorted(path.name for path in (whole / "tiny/adapters").iterdir()) == names

    process = subprocess.Popen(command(plan, killed), env=environment(), stderr=subprocess.DEVNULL)
    while not (killed / "tiny/trained/per-s0.json").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = (killed / "tiny/adapters/per-s0/adapter_model.safetensors").stat().st_mtime_ns
    assert not (killed / "tiny/truth.json").exists()
    run(plan, killed)
    assert made(killed) == expected
    assert (killed / "tiny/adapters/per-s0/adapter_model.safetensors").stat().st_mtime_ns == first

    with (whole / "tiny/behaviour.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"source", "target", "behaviour"} == set(rows[0])
    assert json.loads((whole / "tiny/truth.json").read_text())["schema"] == "taskvec.truth/1"


def test_another_plan_may_add_adapters_and_not_change_them(tmp_path: Path) -> None:
    plan = read_plan(ROOT / "examples/study/plan.toml")
    keep_settings(plan, tmp_path)
    keep_settings(read_plan(ROOT / "examples/study/full.toml"), tmp_path)
    keep_settings(read_plan(ROOT / "examples/study/zoo.toml"), tmp_path)
    other = replace(plan, training=replace(plan.training, steps=90))
    with pytest.raises(PlanError, match=r"another \[training\] steps: 60, not 90; fix: another --out"):
        keep_settings(other, tmp_path)


def test_no_step_is_taken_before_what_it_needs(tmp_path: Path) -> None:
    board = Board(Course(read_plan(ROOT / "examples/study/plan.toml"), "instruct", tmp_path), workers=1)
    done: set[Step] = set()
    while (step := board.take()) is not None:
        assert board.course.needs(step) <= done
        done.add(step)
        board.done(step, 1.0)
    assert done == set(board.course.steps())
    assert board.seconds_left() == 0


def test_a_step_that_exists_is_not_done_again(tmp_path: Path) -> None:
    course = Course(read_plan(ROOT / "examples/study/plan.toml"), "instruct", tmp_path)
    course.product(Step("train", "ner-s0")).parent.mkdir(parents=True)
    course.product(Step("train", "ner-s0")).write_text("{}")
    course.adapter_folder("ner-s0").mkdir(parents=True)
    assert not course.is_done(Step("train", "ner-s0"))  # as a plan leaves it that asks for none half-way
    course.adapter_folder("ner-s0-at30").mkdir()
    assert set(course.steps()) - set(Board(course, 1).left) == {Step("train", "ner-s0")}
