"""What the documents say of the tree is true, and what they show runs; tests/bench/test_publish.py has the figures."""

from __future__ import annotations

import re
import shutil
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from documents import blocks, commands, make_targets, named_files
from taskvec.cli import main

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DECIDE = ROOT / "docs/DECIDE.md"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("python/*.md")]
)
ZOO = ROOT / "examples/zoo"
# too long for a test, or with one of its own
NOT_RUN = {"bench", "explore"}


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


def test_the_site_has_every_document() -> None:
    nav = (ROOT / "mkdocs.yml").read_text()
    documents = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")]
    assert [name for name in documents if f" {name}\n" not in nav] == []


@pytest.mark.parametrize("package", ["taskvec", "taskvec.plot", "taskvec_kernels"])
def test_the_reference_has_every_public_name(package: str) -> None:
    told = set(re.findall(r"^::: (\S+)$", "\n".join(p.read_text() for p in ROOT.glob("docs/reference/*.md")), re.M))
    public = {name for name in import_module(package).__all__ if not name.isupper() and name != "__version__"}
    assert {name for name in public if not {f"{package}.{name}", f"taskvec_kernels.{name}"} & told} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_has_the_targets(document: Path) -> None:
    has = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert make_targets(document) <= has


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_are_there(document: Path) -> None:
    """From the root, or shortened to the end of a path of the native core or a package."""
    places = [ROOT, document.parent, ROOT / "csrc", ROOT / "taskvec_kernels", ROOT / "python", ROOT / "python/taskvec"]
    missing = {name for name in named_files(document) if not any((place / name).is_file() for place in places)}
    # what a reader has or makes
    assert {name for name in missing if not name.startswith(("my/", "build/", "dist/"))} == set()


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds what README.md calls my/…: adapters of the example zoo, or the whole of it."""
    adapters = sorted(path for path in ZOO.iterdir() if path.is_dir())
    names = sorted(set(re.findall(r"\bmy/([\w-]+)", README.read_text())))
    for number, name in enumerate(names):
        whole = name.endswith(("adapters", "zoo", "loras"))
        shutil.copytree(ZOO if whole else adapters[number % len(adapters)], tmp_path / "my" / name)
    shutil.copy(ZOO / "truth.json", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # readline has set it for the tests' own processes
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [words for text in (README, DECIDE) for words in commands(text, "taskvec") if words[0] not in NOT_RUN],
    ids=lambda words: words[0],
)
def test_commands_of_the_readme_run(arguments: list[str], reader: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if arguments[1:] and arguments[1].endswith(".zarr"):
        made_by = "ingest" if arguments[1] == "zoo.zarr" else "sweep"
        assert main([made_by, "my/adapters", "-o", arguments[1]]) == 0
    assert main(arguments) == 0, capfd.readouterr().err
    for option, path in pairwise(arguments):
        assert option not in ("-o", "--out", "--plot") or (reader / path).exists()


def test_python_of_the_readme_runs(reader: Path) -> None:
    """One after the other, in one namespace; the names that the first ones leave to the reader are here."""
    shown = blocks(README, "python")
    assert len(shown) >= 2
    names: dict[str, Any] = {"b": torch.randn(6, 32, 4), "a": torch.randn(6, 4, 24), "scale": 2.0, "i": 0, "j": 1}
    for number, text in enumerate(shown):
        text = text.replace('source="sum", target="ner"', 'source="sum-s0", target="ner-s0"')
        exec(compile(text, f"README.md, Python block {number + 1}", "exec"), names)


def words_and_numbers(line: str) -> tuple[list[str], list[float]]:
    words, numbers = [], []
    for word in line.split():
        try:
            numbers.append(float(word))
        except ValueError:
            words.append(word)
    return words, numbers


@pytest.mark.slow
def test_the_table_of_the_readme_is_what_the_demo_prints(reader: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every row, in its order, as far as SIMD levels agree."""
    (shown,) = [text for text in blocks(README) if "the other way" in text]
    assert main(["sweep", str(ZOO), "-o", "demo.zarr"]) == 0
    printed, rows = (
        [(words, numbers) for words, numbers in map(words_and_numbers, text.splitlines()) if len(numbers) > 4]
        for text in (capfd.readouterr().out, shown)
    )
    assert len(rows) >= 5
    for row, found in zip([*rows[:-1], rows[-1]], [*printed[: len(rows) - 1], printed[-1]], strict=True):
        assert row[0] == found[0] and found[1] == pytest.approx(row[1], rel=0.02, abs=0.002), row
