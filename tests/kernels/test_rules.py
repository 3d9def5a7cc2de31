"""The thresholds of ``lowrank_svd`` stand in one header, and both cores call them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
RULES = CSRC / "numerics/rules.h"


def code(path: Path) -> str:
    return re.sub(r"//.*", "", path.read_text())


def joined(*folders: str) -> str:
    paths = [path for folder in folders for path in sorted((CSRC / folder).rglob("*.*")) if path != RULES]
    return "\n".join(code(path) for path in paths)


# what only the CUDA kernels include of numerics/ is their side
SIDES = {"cpu": joined("cpu"), "cuda": joined("cuda", "numerics")}


def rules() -> list[str]:
    found = re.findall(r"^(?:TASKVEC_HD )?(?:constexpr|inline) [\w:]+ (\w+)(?: =|\()", code(RULES), re.MULTILINE)
    assert len(found) > 10, found
    return found


def uses(name: str, text: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def called(name: str, side: str) -> bool:
    """By the side itself, or by a rule that it calls."""
    bodies = re.split(r"^(?=TASKVEC_HD|constexpr|template)", code(RULES), flags=re.MULTILINE)
    callers = [rule for rule in rules() for body in bodies if rule != name and uses(name, body) and f" {rule}" in body]
    return uses(name, SIDES[side]) or any(uses(rule, SIDES[side]) for rule in callers)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", rules())
def test_every_rule_has_a_caller_on_both_sides(name: str, side: str) -> None:
    assert called(name, side), (
        f"{side} does not call {name} of numerics/rules.h: call it, or move it to where it is used"
    )


@pytest.mark.parametrize("folder", ["cpu/lowrank", "cuda", "numerics"])
def test_no_threshold_elsewhere(folder: str) -> None:
    found = re.findall(r"(?<![\w.])\d+(?:\.\d+)?e-?\d+\b", joined(folder))
    assert found in ([], ["2.220446049250313e-16"]), f"{found}: a threshold belongs to numerics/rules.h"
