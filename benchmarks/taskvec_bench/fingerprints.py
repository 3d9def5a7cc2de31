"""Which code a row was measured with: a digest of the kernels that its function runs, comments and docstrings aside."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

# where the code is that a row of a CPU depends on
SOURCES = ("csrc/include", "csrc/cpu", "csrc/numerics", "csrc/bindings", "taskvec_kernels")
# files of one function, by the starts of their names, and the functions that run them; the others are everyone's
PARTS = {
    "lowrank_svd": (
        "lowrank",
        "core_svd.h",
        "jacobi.h",
        "turn_sets.h",
        "small.h",
        "svd.h",
        "dense.h",
        "team.h",
        "rules.h",
    ),
    "pairwise": ("pairwise", "gram.h", "fixed.h", "small_gram.h", "pairs.py", "zoo_weights.py"),
    "project": ("project",),
    "project_dense": ("project_dense",),
    "sparsify": ("sparsify", "random.h", "sparse.py", "solver.py", "seeding.py"),
    "compare_spectra": ("compare_spectra", "spectra.py"),
}
USES: dict[str, tuple[str, ...]] = {
    "lowrank_svd": ("lowrank_svd",),
    "pairwise": ("pairwise", "sparsify"),
    "project": ("project",),
    "project_dense": ("project", "project_dense"),
    "sparsify": ("sparsify",),
    "compare_spectra": ("compare_spectra",),
}
WHOLE_JOB = "peers"  # a variant of ``pairwise`` that starts from the factors


def fingerprint(root: Path | None, function: str = "") -> str:
    """Twelve hex digits of the code in ``root`` that ``function`` runs, or of all kernels; empty without a tree."""
    if root is None:
        return ""
    foreign = [
        prefix for part, prefixes in PARTS.items() if part not in USES.get(function, PARTS) for prefix in prefixes
    ]
    digest = hashlib.sha256()
    for path in kernel_files(root):
        if not path.name.startswith(tuple(foreign)):
            digest.update(f"{path.relative_to(root)}\n{code(path)}\n".encode())
    return digest.hexdigest()[:12]


def fingerprints(root: Path | None) -> dict[str, str]:
    """By function; all kernels' own under the empty name, for what runs several of them."""
    return {function: fingerprint(root, function) for function in ("", *USES)}


def of_a_row(kernels: Mapping[str, str], function: str, variant: str) -> str:
    """Of ``fingerprints`` the one that a row depends on."""
    return kernels[""] if variant == WHOLE_JOB else kernels.get(function, kernels[""])


def kernel_files(root: Path) -> Iterator[Path]:
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*")):
            gpu = path.parent.name == "triton" or path.name == "cuda.py"
            if path.suffix in (".h", ".cpp", ".py") and not gpu and path.name != "version.py":
                yield path


def code(path: Path) -> str:
    """A file without what changes nothing."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return re.sub(r"//[^\n]*|/\*.*?\*/|\s+", "", text, flags=re.DOTALL)
    return syntax(ast.parse(text))


def syntax(node: object) -> str:
    """A tree in words, without docstrings. Unlike ``ast.dump`` it is the same in every version of Python."""
    if isinstance(node, list):
        return f"[{' '.join(map(syntax, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    body = parts.get("body")
    if isinstance(body, list) and is_text(body[0]):
        parts["body"] = body[1:]
    return f"{type(node).__name__}({' '.join(f'{name}={syntax(value)}' for name, value in parts.items())})"


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
