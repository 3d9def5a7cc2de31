"""What rules found, for the machines that show it: JUnit's XML and SARIF 2.1.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from ..errors import printable
from .tables import counted

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
SHOWN = 3  # pairs that the line on stderr names


@dataclass(frozen=True)
class Checked:
    """A rule and the rows that break it."""

    rule: str
    rows: Sequence[Mapping[str, Any]]

    def summary(self) -> str:
        """One line."""
        some = ", ".join(pair(row) for row in self.rows[:SHOWN])
        more = f" and {len(self.rows) - SHOWN} more" if len(self.rows) > SHOWN else ""
        return f"--fail-on {self.rule}: {counted(len(self.rows), 'pair')}: {some}{more}"


def pair(row: Mapping[str, Any]) -> str:
    return f"{row['source']} → {row['target']} (captured {row['captured']:.4f})"


def junit(checked: Sequence[Checked], left_out: Sequence[str]) -> str:
    """A test case for each pair that breaks a rule, one for a rule that none breaks, one for whatever was left out."""
    suites = ElementTree.Element("testsuites", name="taskvec")
    for one in checked:
        suite = ElementTree.SubElement(suites, "testsuite", name=printable(one.rule))
        for row in one.rows:
            case = ElementTree.SubElement(suite, "testcase", name=printable(f"{row['source']} → {row['target']}"))
            ElementTree.SubElement(case, "failure", message=printable(pair(row)))
        if not one.rows:
            ElementTree.SubElement(suite, "testcase", name="no pair")
    if left_out:
        suite = ElementTree.SubElement(suites, "testsuite", name="left out")
        for reason in left_out:
            case = ElementTree.SubElement(suite, "testcase", name=printable(reason))
            ElementTree.SubElement(case, "failure", message=printable(reason))
    for suite in suites:
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(sum(case.find("failure") is not None for case in suite)))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def sarif(checked: Sequence[Checked], left_out: Sequence[str], result: str, version: str) -> dict[str, Any]:
    """A result for each pair that breaks a rule, and for whatever was left out."""
    rules = [{"id": f"fail-on-{i + 1}", "shortDescription": {"text": one.rule}} for i, one in enumerate(checked)]
    found = [
        (rule["id"], pair(row), {"name": f"{row['source']} → {row['target']}", "kind": "element"})
        for rule, one in zip(rules, checked, strict=True)
        for row in one.rows
    ]
    found += [("left-out", reason, {"name": reason, "kind": "resource"}) for reason in left_out]
    rules += [{"id": "left-out", "shortDescription": {"text": "left out"}}] * bool(left_out)
    results = [
        {
            "ruleId": rule,
            "level": "error",
            "message": {"text": text},
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": result}}, "logicalLocations": [place]},
            ],
        }
        for rule, text, place in found
    ]
    driver = {"name": "taskvec", "version": version, "rules": rules}
    return {"$schema": SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
