"""The command line end to end: what goes to which stream, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from make_adapters import pairs, write_adapter
from taskvec.cli import common, main

SCHEMAS = Path(__file__).parent.parent / "schemas"


def taskvec(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "taskvec", *map(str, arguments)], capture_output=True, text=True)


def strict_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def check(document: Any, schema: str) -> None:
    jsonschema.validate(document, json.loads((SCHEMAS / f"{schema}.json").read_text()))


def test_json_is_all_there_is_on_stdout(tmp_path: Path) -> None:
    write_adapter(tmp_path / "a", r=3)
    zero = {name: torch.zeros_like(tensor) for name, tensor in pairs().items()}
    write_adapter(tmp_path / "b", zero | {"head.weight": torch.ones(1)})
    done = taskvec("inspect", tmp_path, "--json", "--progress", "json")
    assert done.returncode == 0
    document = strict_json(done.stdout)
    check(document, "inspect")
    a, b = document["adapters"]
    assert b["modules"][0]["effective_rank"] is None and b["modules"][0]["spectrum"] == [0, 0]
    assert "rank 2, adapter_config.json says 3" in a["modules"][0]["warnings"][0]

    warnings = [line for line in done.stderr.splitlines() if line.startswith("taskvec: warning: ")]
    steps = [json.loads(line) for line in done.stderr.splitlines() if line not in warnings]
    assert len(warnings) == 1 and "a: 2 of 2 modules" in warnings[0]
    assert {step["progress"] for step in steps} == {"loading", "inspecting"}
    last = steps[-1]
    assert (last["done"], last["total"], last["seconds_left"]) == (4, 4, 0)


def test_env_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "--json"]) == 0
    document = strict_json(capfd.readouterr().out)
    check(document, "env")
    assert document["versions"]["torch"] == torch.__version__
    assert {item["name"]: item["usable"] for item in document["backends"]}["reference"]


def test_env_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["env"]) == 0
    out = capfd.readouterr().out
    assert torch.__version__ in out and "reference" in out and "simd level" in out


def test_one_adapter_is_a_table_of_modules(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_adapter(tmp_path)
    assert main(["inspect", str(tmp_path)]) == 0
    out, err = capfd.readouterr()
    assert f"{tmp_path} on tiny, read as peft: 2 modules, 0 tensors left out" in out and " alpha/r " in out
    assert all(text in out for text in ("h.0.q", "h.1.q", "6×5", "effective rank"))
    assert err == ""


def test_several_adapters_are_a_table_of_adapters(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_adapter(tmp_path / "a", r=3)
    write_adapter(tmp_path / "[bold]b")
    assert main(["inspect", str(tmp_path)]) == 0
    out = capfd.readouterr().out
    assert "2 adapters" in out and "[bold]b" in out and "h.0.q" not in out


def test_skip_bad_names_what_is_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_adapter(tmp_path / "a")
    (write_adapter(tmp_path / "b") / "adapter_config.json").unlink()
    assert main(["inspect", str(tmp_path), "--json", "--skip-bad"]) == 0
    out, err = capfd.readouterr()
    assert [adapter["name"] for adapter in json.loads(out)["adapters"]] == ["a"]
    assert err.count("\n") == 1 and "left out: " in err and "no adapter_config.json" in err


def test_recursive_and_dora(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_adapter(tmp_path / "run", use_dora=True)
    write_adapter(tmp_path / "run" / "checkpoint-1")
    assert main(["inspect", str(tmp_path / "run"), "--json", "--recursive", "--dora", "low-rank"]) == 0
    out, err = capfd.readouterr()
    assert [adapter["name"] for adapter in json.loads(out)["adapters"]] == [str(tmp_path / "run"), "checkpoint-1"]
    assert "2 of 2 modules: DoRA" in err


def test_bad_input_in_a_process_of_its_own(tmp_path: Path) -> None:
    (write_adapter(tmp_path / "a") / "adapter_config.json").write_text("{")
    done = taskvec("inspect", tmp_path / "a", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspekt"], "No such command"),
        (["inspect"], "Missing argument 'PATH"),
        (["inspect", "--jsn", "x"], "No such option"),
        (["inspect", "x", "--progress", "loud"], "'loud' is not one of"),
        (["inspect", "x", "--dora", "yes"], "'yes' is not one of"),
        (["env", "extra"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("taskvec: ") and words in err and err.endswith("; see taskvec --help\n")


@pytest.mark.parametrize("arguments", [["--help"], ["inspect", "--help"], ["--version"]])
def test_help_and_version(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out, err = capfd.readouterr()
    assert out and err == ""


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from taskvec.cli import main; main(['--help']); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "taskvec.cli.inspect" in loaded
    assert not loaded & {"torch", "numpy", "rich", "xarray", "zarr", "pandas", "safetensors", "taskvec_kernels"}


def test_ctrl_c_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], ctrl_c: Callable[[], None]
) -> None:
    monkeypatch.setattr("taskvec.zoo.read_adapters", lambda *_, **__: ctrl_c())
    assert main(["inspect", "x"]) == 130
    assert capfd.readouterr().err == "taskvec: interrupted\n"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    write_adapter(tmp_path, pairs(*(f"h.{i}.q" for i in range(400))))
    command = [sys.executable, "-m", "taskvec", "inspect", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_strict_json_has_no_nan(capfd: pytest.CaptureFixture[str]) -> None:
    common.print_json({"a": float("nan"), "b": [float("inf"), 1.5, {"c": (float("-inf"), None, True, "x")}]})
    assert strict_json(capfd.readouterr().out) == {"a": None, "b": [None, 1.5, {"c": [None, None, True, "x"]}]}


def test_what_is_left_out_is_named_with_the_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    heads = {f"base_model.model.{name}": torch.ones(2, 5) for name in ("score.weight", "classifier.weight")}
    write_adapter(tmp_path, pairs() | heads)
    assert main(["inspect", str(tmp_path)]) == 0
    line = "left out: 2 (base_model.model.classifier.weight, ...): not a LoRA factor: a whole tensor"
    assert line in capfd.readouterr().out
