"""The schemas of the commands' JSON name the metrics that there are, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from taskvec.queries.kept import SHARES
from taskvec.queries.ranking import COLUMNS
from taskvec.results.curve import VALUES as ALONG_LAMBDA
from taskvec.results.direction import Verdict
from taskvec.sweeps.pair import VALUES
from taskvec_kernels.metrics import METRICS

SCHEMAS = Path(__file__).parents[1] / "schemas"
NAMES = {metric.name for metric in METRICS}


def objects(node: Any) -> list[dict[str, Any]]:
    """Every description of an object in a schema; each lists all of its properties and allows no more."""
    found = [node] if isinstance(node, dict) and "properties" in node else []
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    found += [item for value in inner for item in objects(value)]
    return found


def of_metrics(schema: str) -> list[dict[str, Any]]:
    """The objects of a schema that hold metrics."""
    document = json.loads((SCHEMAS / f"{schema}.json").read_text())
    assert all(item["additionalProperties"] is False for item in objects(document))
    return [item for item in objects(document) if "rec" in item["properties"]]


def test_project() -> None:
    modules, *together = of_metrics("project")
    own = {"module", "norm", "s1", "s2", "rec_error", "captured_error"}
    assert set(modules["properties"]) == set(modules["required"]) == own | set(VALUES)
    means = [item for item in together if "other_layers" not in item["properties"] and "l1" in item["properties"]]
    assert len(means) == 4  # mean and used, both ways
    for item in means:
        assert set(item["properties"]) == set(item["required"]) == set(VALUES) == NAMES - {"lp"}


@pytest.mark.parametrize("schema", ["project", "sweep"])
def test_verdicts(schema: str) -> None:
    document = json.loads((SCHEMAS / f"{schema}.json").read_text())
    verdicts = [item["properties"]["verdict"]["enum"] for item in objects(document) if "verdict" in item["properties"]]
    assert verdicts and all(words == [*get_args(Verdict), None] for words in verdicts)


def test_sweep() -> None:
    row, mean, layers = of_metrics("sweep")
    assert set(row["required"]) == set(row["properties"]) >= set(COLUMNS) - set(SHARES)
    assert set(mean["properties"]) == NAMES | {"s1_sum"}
    assert set(layers["properties"]) == {"captured", "rec"}


def test_lambda_path() -> None:
    for item in of_metrics("lambda-path"):
        assert set(item["properties"]) == set(item["required"]) == set(ALONG_LAMBDA)
    assert set(ALONG_LAMBDA) - NAMES == {"active"}
