"""Who may import whom in taskvec: one list of layers, read from the sources."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import taskvec
import taskvec_kernels

ROOT = Path(__file__).parent.parent / "python/taskvec"
# lowest first: a module imports from the layers below it, and from its own package
LAYERS = (
    ("errors", "version"),
    ("documents", "heap", "paths", "progress"),
    ("storage",),
    ("adapters", "chance", "hub", "ledger", "results"),
    ("formats",),
    ("naming", "left_out"),
    ("store",),
    ("sources",),
    ("zoo",),
    ("ingestion",),
    ("sweeps",),
    ("workers",),
    ("conversion", "inspect", "env", "queries"),
    ("reports",),
    ("plot", "explore"),
    ("cli",),
    ("__init__", "__main__"),
)
# a stored result is all that these know of a sweep
NEVER = {
    ("queries", "sweeps"),
    ("reports", "sweeps"),
    ("reports", "inspect"),
    ("reports", "env"),
    ("plot", "sweeps"),
    ("explore", "sweeps"),
}
# packages of other people, and ours below: who may import them
OTHERS = {
    "dask": {"workers"},
    "distributed": {"workers"},
    "duckdb": {"explore"},
    "fsspec": {"storage"},
    "google_crc32c": {"ledger", "store"},
    "huggingface_hub": {"hub"},
    "matplotlib": {"reports", "plot"},
    "numcodecs": {"ledger"},
    "numpy": {"chance", "formats", "ledger", "store", "sweeps", "queries", "reports", "plot", "explore"},
    "pandas": {"queries", "reports", "results", "explore"},
    "pyarrow": {"explore"},
    "rich": {"progress", "reports", "cli"},
    "safetensors": {"conversion", "formats"},
    "scipy": {"chance", "queries"},
    "starlette": {"explore"},
    "taskvec_bench": {"cli"},
    "taskvec_kernels": {"conversion", "store", "sweeps", "inspect", "env", "workers"},
    "torch": {"formats", "conversion", "naming", "store", "sweeps", "inspect", "env", "workers"},
    "typer": {"cli"},
    "umap": {"queries"},
    "uvicorn": {"explore"},
    "xarray": {"ledger", "sweeps", "queries", "explore"},
    "zarr": {"ledger", "store", "sweeps"},
}
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}
FILES = sorted(ROOT.rglob("*.py"))


def parts(file: Path) -> tuple[str, ...]:
    """("sweeps", "run") for python/taskvec/sweeps/run.py."""
    return file.relative_to(ROOT).with_suffix("").parts


def imported(file: Path) -> Iterator[str]:
    """What a file imports when it runs, wherever it does so: full names, relative ones resolved."""
    tree = ast.parse(file.read_text())
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    package = ("taskvec", *parts(file)[:-1])
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            # `from . import bench, env` names modules
            yield from (".".join(filter(None, [*base, *([] if node.module else [a.name])])) for a in node.names)


def wrong(owner: str, name: str) -> bool:
    """Whether a module of the layer ``owner`` must not import ``name``."""
    top, *rest = name.split(".")
    if top != "taskvec":
        return owner not in OTHERS.get(top, set()) and top not in sys.stdlib_module_names
    target = rest[0] if rest else "__init__"
    if owner in ("__init__", "__main__") or target == owner:
        return False
    return (owner, target) in NEVER or target not in DEPTH or DEPTH[target] >= DEPTH[owner]


def test_every_module_has_a_layer() -> None:
    assert {parts(file)[0] for file in FILES} == set(DEPTH)
    assert len(DEPTH) == sum(map(len, LAYERS))


@pytest.mark.parametrize("file", FILES, ids=lambda file: ".".join(parts(file)))
def test_imports_go_down(file: Path) -> None:
    assert [name for name in imported(file) if wrong(parts(file)[0], name)] == []


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("queries", "torch"),
        ("reports", "torch"),
        ("reports", "taskvec_kernels"),
        ("reports", "taskvec.sweeps.run"),
        ("queries", "taskvec.sweeps.layout"),
        ("formats", "taskvec_kernels.types"),
        ("formats", "taskvec.zoo"),
        ("zoo", "taskvec.sweeps.plan"),
        ("sweeps", "taskvec.cli.common"),
        ("reports", "taskvec.cli"),
        ("adapters", "torch"),
        ("zoo", "requests"),
        ("sweeps", "taskvec.unheard_of"),
    ],
)
def test_what_the_list_forbids(owner: str, name: str) -> None:
    assert wrong(owner, name)


def test_imports_are_seen_wherever_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ROOT / "queries/made_up.py"
    lines = "from .. import zoo", "from ..sweeps import run", "import torch.nn", "def f():", "    import a.b"
    text = "\n".join((*lines, "if TYPE_CHECKING:", "    import rich", ""))
    monkeypatch.setattr(Path, "read_text", lambda self: text)
    assert list(imported(file)) == ["taskvec.zoo", "taskvec.sweeps", "torch.nn", "a.b"]


@pytest.mark.parametrize("package", ["queries", "reports", "explore"])
def test_reading_a_result_needs_no_torch(package: str) -> None:
    modules = [".".join(("taskvec", *parts(file))) for file in FILES if parts(file)[0] == package]
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules, 'taskvec_kernels' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]


@pytest.mark.parametrize("package", [taskvec, taskvec_kernels], ids=lambda package: package.__name__)
def test_functions_and_modules_do_not_share_names(package: ModuleType) -> None:
    """``taskvec.sweep`` is the function whatever was imported before."""
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert modules & set(package.__all__) == set()
    for name in package.__all__:
        assert not isinstance(getattr(package, name), ModuleType)


def test_public_names_stay_what_they_are_after_every_import() -> None:
    for module in pkgutil.walk_packages(taskvec.__path__, "taskvec."):
        if module.name != "taskvec.__main__":
            import_module(module.name)
    assert all(callable(getattr(taskvec, name)) for name in taskvec.__all__ if name != "__version__")
