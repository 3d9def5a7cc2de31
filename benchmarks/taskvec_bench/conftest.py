"""Options of the harness."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("taskvec_bench")
    group.addoption("--only", default="", metavar="REGEX", help="Cases whose name has this.")
    group.addoption("--quick", action="store_true", help="The few cases of the quick run.")
    group.addoption("--seconds", type=float, default=0.5, help="Time for the rounds of a provider.")
    group.addoption("--rows", default="", metavar="FILE", help="Append a JSON line for each provider to this file.")
