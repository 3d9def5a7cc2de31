"""The schemas of the commands' JSON name the metrics that there are, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from taskvec.queries.ranking import COLUMNS
from taskvec.results.curve import VALUES as ALONG_LAMBDA
from taskvec.sweeps.pair import SPREAD, VALUES
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
    modules, mean, used = of_metrics("project")
    assert set(VALUES) - NAMES == {"rec_chance"}
    assert set(modules["properties"]) == set(modules["required"]) == {"module", "s1", "s2", *VALUES, SPREAD}
    for item in (mean, used):
        assert set(item["properties"]) == set(item["required"]) == set(VALUES)


def test_sweep() -> None:
    (row,) = of_metrics("sweep")
    assert set(row["required"]) == set(COLUMNS) and set(row["properties"]) == {*COLUMNS, "lam"}
    assert set(COLUMNS) & NAMES == {"l1", "rec", "excess", "cosine"}


def test_lambda_path() -> None:
    for item in of_metrics("lambda-path"):
        assert set(item["properties"]) == set(item["required"]) == set(ALONG_LAMBDA)
    assert set(ALONG_LAMBDA) - NAMES == {"active"}
