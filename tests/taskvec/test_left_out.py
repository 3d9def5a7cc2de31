"""What a result remembers of its making: the command, and what adapters hold that is not compared."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from taskvec.cli import main
from taskvec.documents import as_lines
from taskvec.queries.stored import open_result
from taskvec.reports.html.report import report


@pytest.fixture
def with_head(zoo_folder):
    """A zoo of which one adapter holds a trained head."""
    path = zoo_folder / "far/adapter_model.safetensors"
    save_file({**load_file(path), "base_model.model.score.weight": torch.randn(3, 16)}, path)
    return zoo_folder


def test_a_result_remembers(with_head, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "out.zarr"
    arguments = ["sweep", str(with_head), "-o", str(out), "--baseline", "none"]
    monkeypatch.setattr(sys, "argv", ["taskvec", *arguments])
    assert main(arguments) == 0, capsys.readouterr().err
    attributes = open_result(out).attrs
    assert attributes["command"] == " ".join(["taskvec", *arguments])
    lines = dict(zip(open_result(out)["source"].values.tolist(), as_lines(attributes["left_out"]), strict=True))
    assert lines["first"] == lines["near"] == ""
    assert lines["far"].startswith("1 tensor (1 ") and "of its trained parameters" in lines["far"]
    page = report(out, tmp_path / "report.html").read_text()
    document = json.loads(page.split('id="document">')[1].split("</script>")[0])
    assert document["left_out"] == {str(list(lines).index("far")): lines["far"]}
    assert document["methods"]["commands"][0] == attributes["command"]
