"""What the documents say of the tree is true; tests/bench/test_publish.py has the figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])


def layout() -> list[str]:
    """First words of the lines of ARCHITECTURE.md's layout block."""
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    block = text.split("## Layout", 1)[1].split("```")[1]
    return [line.split()[0] for line in block.strip().splitlines()]


@pytest.mark.parametrize("path", layout())
def test_layout_names_what_is_there(path: str) -> None:
    found = ROOT / path
    assert found.is_dir() if path.endswith("/") else found.is_file()


def test_layout_names_every_module() -> None:
    named = layout()
    modules = [*ROOT.glob("taskvec_kernels/*.py"), *ROOT.glob("python/taskvec/*.py"), *ROOT.glob("csrc/*/*.c*")]
    plain = {
        "__init__.py",
        "__main__.py",
        "types.py",
        "version.py",
        "errors.py",
        "progress.py",
        "environment.py",
        "headers.py",
    }
    missing = [
        str(path.relative_to(ROOT))
        for path in modules
        if path.name not in plain and not any(str(path.relative_to(ROOT)).startswith(name) for name in named)
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert target.startswith("https://") or (document.parent / target).exists(), target
