"""Imports run one way, the core knows neither Python nor torch, and the extension runs on any CPU of its kind."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taskvec_kernels import _C

ROOT = Path(__file__).parents[2]
KERNELS = sorted((ROOT / "taskvec_kernels").rglob("*.py"))
CORE = sorted(p for part in ("include", "simd", "cpu", "numerics", "cuda") for p in (ROOT / "csrc" / part).rglob("*.*"))
TASKVEC = sorted((ROOT / "python/taskvec").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks/taskvec_bench").rglob("*.py"))
OF_ADAPTERS = ("commands.py", "ingest.py", "loading.py", "ranking.py", "real.py", "scale.py")
BINDINGS = sorted((ROOT / "csrc/bindings").rglob("*.*"))


HARMLESS = {
    "int64_t", "int32_t", "int8_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t",
    "uintptr_t", "size_t", "memcpy", "memset", "integer_sequence",
    "make_integer_sequence", "align_val_t", "is_same_v", "conditional_t", "remove_cv_t", "remove_reference_t",
}  # fmt: skip


def includes(path: Path) -> list[str]:
    return re.findall(r'#\s*include\s*[<"]([^>"]+)', path.read_text())


def imports(tree: ast.AST) -> set[str]:
    """Packages that are imported by name anywhere in ``tree``."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_kernels_import_only_torch_and_numpy(path: Path) -> None:
    allowed = {"torch", "numpy", "taskvec_kernels", *sys.stdlib_module_names}
    if path.parent.name == "triton":
        allowed.add("triton")
    names = imports(ast.parse(path.read_text()))
    assert names <= allowed, f"{path.name} imports {names - allowed}"


REFERENCE = sorted((ROOT / "taskvec_kernels/reference").glob("*.py"))
RECORDS = {"metrics", "seeding", "sign_patterns", "solver", "types"}


def test_the_oracle_imports_nothing_of_the_rest_but_the_records() -> None:
    assert len(REFERENCE) > 4
    for path in REFERENCE:
        tree = ast.parse(path.read_text())
        outside = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level == 2}
        assert outside <= RECORDS and "taskvec_kernels" not in imports(tree), f"{path.name} imports {outside - RECORDS}"
    for name in RECORDS:  # and these import nothing but each other
        tree = ast.parse((ROOT / f"taskvec_kernels/{name}.py").read_text())
        assert {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level} <= RECORDS, name


def test_only_the_command_imports_the_benchmarks_and_only_when_it_runs() -> None:
    trees = {path.relative_to(ROOT / "python/taskvec").as_posix(): ast.parse(path.read_text()) for path in TASKVEC}
    assert {name for name, tree in trees.items() if "taskvec_bench" in imports(tree)} == {"cli/bench.py"}
    at_import = ast.Module([n for n in trees["cli/bench.py"].body if isinstance(n, ast.Import | ast.ImportFrom)], [])
    assert not imports(at_import) & {"taskvec_bench", "taskvec_kernels", "torch"}


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_of_the_benchmarks_only_those_of_adapters_import_taskvec(path: Path) -> None:
    """And the table of the command, which is printed as taskvec's are."""
    of_adapters = path.parent.name in ("large", "zoos") or path.name in (*OF_ADAPTERS, "printed.py")
    assert of_adapters or "taskvec" not in imports(ast.parse(path.read_text()))


def test_an_import_brings_torch_and_numpy_alone() -> None:
    """Beyond what those two bring themselves."""
    script = """
import sys, torch, numpy, numpy.typing
before = set(sys.modules)
import taskvec_kernels
new = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(*sorted(new))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.split() == ["taskvec_kernels"]


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_knows_no_python(path: Path) -> None:
    foreign = [name for name in includes(path) if re.match(r"(torch|ATen|c10|pybind11|Python\.h)", name)]
    assert not foreign and "PyObject" not in path.read_text()


def test_only_bindings_include_pybind11() -> None:
    users = {p for p in (ROOT / "csrc").rglob("*.*") if any(name.startswith("pybind11") for name in includes(p))}
    assert users and users <= set(BINDINGS)
    for path in BINDINGS:
        assert all(name.startswith(("pybind11/", "taskvec/")) or "/" not in name for name in includes(path))


def level_headers() -> set[Path]:
    """What is compiled once a SIMD level: all that ``kernels-inl.h`` brings with it."""
    found: set[Path] = set()
    waiting = [ROOT / "csrc/simd/kernels-inl.h"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            candidates = (ROOT / folder / name for name in includes(path) for folder in ("csrc", "csrc/include"))
            waiting += [candidate for candidate in candidates if candidate.exists()]
    return found


def test_files_of_a_level_use_nothing_inline_of_the_standard_library() -> None:
    """The linker keeps one copy of an inline function, and it may be the one compiled for AVX-512."""
    ours = level_headers()
    assert len(ours) > 30
    for path in ours | set((ROOT / "csrc/numerics").glob("*.h")):
        code = re.sub(r"//.*", "", path.read_text())
        used = set(re.findall(r"std::(\w+)", code))
        assert used <= HARMLESS, f"{path.name}: {used - HARMLESS}"


def disassembly() -> str:
    if shutil.which("objdump") is None:
        pytest.skip("no objdump")
    run = subprocess.run(
        ["objdump", "-dC", "--no-show-raw-insn", _C.__file__], capture_output=True, text=True, check=True
    )
    return run.stdout


def test_wide_registers_stay_in_their_levels() -> None:
    """No ymm or zmm outside the levels that have them: what runs before the choice runs anywhere."""
    if "avx2" not in _C.available_simd_levels():
        pytest.skip("this build has the baseline alone")
    wide: dict[str, int] = {"avx2": 0, "avx512": 0, "amx": 0}
    for block in disassembly().split("\n\n"):
        head = re.match(r"[0-9a-f]+ <(.*)>:\n", block)
        if head is None or not re.search(r"%[yz]mm\d", block):
            continue
        level = re.search(r"taskvec::(avx2|avx512|amx)::", head[1])
        assert level, f"{head[1]} uses wide registers"
        assert not (level[1] == "avx2" and "%zmm" in block), f"{head[1]} uses zmm"
        wide[level[1]] += 1
    assert wide["avx2"] > 20 and wide["avx512"] > 20, f"the symbols are stripped, or nothing is vectorised: {wide}"
