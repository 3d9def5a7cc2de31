"""Small cases that go right and wrong in every way, for this process and for fresh ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskvec_bench.cases import CASES
from taskvec_bench.measure import run

LIMIT = "limit float32 m=4096 n=4096"
# in the place of the registry; the limit takes no time
CODE = f"""
import dataclasses, os, time
import torch
from taskvec_bench.cases import CASES
from taskvec_bench.cases.case import Case, Provider, close

limit = dataclasses.replace(CASES["{LIMIT}"], inputs=lambda: [torch.ones(8, 8) for _ in range(3)])
CASES.clear()
CASES[limit.name] = limit

def fails(x):
    raise RuntimeError("out of luck")

def declare(function, **providers):
    providers = {{way.replace("_", "/"): provider for way, provider in providers.items()}}
    case = Case(function, {{"N": 3}}, 4e9, 1e9, lambda: torch.arange(9.0), lambda x: 2 * x.double(), close, providers)
    CASES[case.name] = case

declare(
    "double",
    ours_cpu=Provider(lambda x: 2 * x),
    torch_part=Provider(lambda x: 2 * x, part=0.25),
    wrong=Provider(lambda x: x + 1),
    other=Provider(lambda x: x + 1, computes="x + 1", truth=lambda x: x + 1),
    fails=Provider(fails),
    absent=Provider(lambda x: 2 * x, needs="no_such_module"),
    dies=Provider(lambda x: os.kill(os.getpid(), 9)),
)
declare("after", ours_cpu=Provider(lambda x: 2 * x), slow=Provider(lambda x: time.sleep(60)))
"""


@pytest.fixture
def few_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cases of ``CODE``, here and in fresh processes; the file of the harness that those run."""
    before = dict(CASES)
    harness = tmp_path / "harness" / "harness.py"
    harness.parent.mkdir()
    harness.write_text(f"{CODE}\nfrom taskvec_bench.measure.harness import *\n")
    monkeypatch.setattr(run, "HARNESS", harness)
    exec(CODE, {})
    yield harness
    CASES.clear()
    CASES.update(before)
