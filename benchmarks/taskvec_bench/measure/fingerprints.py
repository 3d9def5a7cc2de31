"""Which code a row was measured with: a digest of what its function's kernels include and import, and of the flags.

No build is asked, since an installed checkout has none: the closure over ``#include "…"`` and over relative imports is
read from the sources. Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from ..cases.peers import WHOLE_JOB

FUNCTIONS = ("compare_spectra", "lowrank_svd", "pairwise", "project", "project_dense", "sparsify")
BACKENDS = {"cpu": ("cpu.py",), "cuda": ("cuda.py", "triton/__init__.py")}
FLAG = re.compile(r'[\s";]-\w|_STANDARD|_DEFINITIONS|_definitions')  # lines of CMake that have one


def fingerprints(root: Path | None) -> dict[str, str]:
    """Twelve hex digits by "device function", and by "device" of all functions; empty without a tree."""
    found: dict[str, str] = {}
    for device in BACKENDS if root else ():
        assert root
        files = {function: sources(root, function, device) for function in FUNCTIONS}
        found |= {f"{device} {function}": digest(root, paths) for function, paths in files.items()}
        found[device] = digest(root, set().union(*files.values()))
    return found


def of_a_row(kernels: Mapping[str, str], function: str, variant: str, device: str) -> str:
    """Of ``fingerprints`` the one that a row depends on."""
    return kernels.get(device if variant == WHOLE_JOB else f"{device} {function}", kernels.get(device, ""))


def sources(root: Path, function: str, device: str) -> set[Path]:
    """Every file of this package that a call of ``function`` on ``device`` may run."""
    csrc, package = root / "csrc", root / "taskvec_kernels"
    left = [package / "backends" / name for name in BACKENDS[device]]
    left += [path for path in package.glob("*.py") if f"\ndef {function}(" in path.read_text(encoding="utf-8")]
    for operation in csrc.glob(f"{device}/**/{function}.c*"):  # everything of an operation is in its folder
        left += [*operation.parent.iterdir(), *csrc.glob("bindings/*.cpp"), csrc / "simd" / "dispatch.cpp"]
    found = set[Path]()
    while left:
        path = left.pop()
        if path not in found and path.is_file():
            found.add(path)
            left += imported(package, path) if path.suffix == ".py" else included(csrc, path)
    # a level's own lines; what it includes is every function's
    return found | set(csrc.glob("simd/level_*.cpp") if device == "cpu" else ())


def included(csrc: Path, path: Path) -> Iterator[Path]:
    """What a file includes by quotes, and the source next to each such header."""
    for name in re.findall(r'^\s*#include "([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE):
        for header in (csrc / name, csrc / "include" / name):
            yield from (header, header.with_suffix(".cpp"))


def imported(package: Path, path: Path) -> Iterator[Path]:
    """The modules of the package that one imports, at any place of its text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for place in (base, *(base / alias.name for alias in node.names)):
                if place != package:  # whose __init__ imports everything, for users
                    yield from (place.with_suffix(".py"), place / "__init__.py")


def digest(root: Path, paths: Iterable[Path]) -> str:
    lines = [
        f"{path.relative_to(root)} {code(path.suffix, path.read_text(encoding='utf-8'))}" for path in sorted(paths)
    ]
    for path in sorted([*root.glob("CMakeLists.txt"), *root.glob("cmake/*.cmake")]):
        flags = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
        lines += filter(FLAG.search, flags)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


@cache
def code(suffix: str, text: str) -> str:
    """A file without what changes nothing."""
    if suffix == ".py":
        return syntax(ast.parse(text))
    return re.sub(r"//[^\n]*|/\*.*?\*/|\s+", "", text, flags=re.DOTALL)


def syntax(node: object) -> str:
    """A tree in words, without docstrings. Unlike ``ast.dump`` it is the same in every version of Python."""
    if isinstance(node, list):
        return f"[{' '.join(map(syntax, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    match parts.get("body"):
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            parts["body"] = rest
    return f"{type(node).__name__}({' '.join(f'{name}={syntax(value)}' for name, value in parts.items())})"
