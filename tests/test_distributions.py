"""Two packages of one tree: one version, one licence, and each names what it needs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import taskvec
import taskvec_kernels

ROOT = Path(__file__).parents[1]


def project(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return found


def test_one_version() -> None:
    assert taskvec.__version__ == taskvec_kernels.__version__


def test_taskvec_needs_kernels_of_its_minor_version() -> None:
    major, minor, _ = taskvec.__version__.split(".")
    assert f"taskvec-kernels~={major}.{minor}.0" in project(ROOT / "python")["dependencies"]


def test_the_kernels_need_numpy_and_torch_alone() -> None:
    found = project(ROOT)
    assert [need.split(">=")[0] for need in found["dependencies"]] == ["numpy", "torch"]
    assert "optional-dependencies" not in found


def test_one_licence() -> None:
    assert (ROOT / "python/LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_headers_are_found() -> None:
    assert (Path(taskvec_kernels.get_include()) / "taskvec/pairwise.h").is_file()


def test_the_citation_has_the_version() -> None:
    assert f"\nversion: {taskvec.__version__}\n" in (ROOT / "CITATION.cff").read_text()
