"""Which code a row was measured with: what its function includes and imports, without comments, and the flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskvec_bench.measure.fingerprints import FUNCTIONS, fingerprints, of_a_row, sources

ROOT = Path(__file__).parents[2]


def test_every_source_of_the_core_is_of_some_function_and_of_no_more_than_needed() -> None:
    files = {
        function: {p.relative_to(ROOT).as_posix() for p in sources(ROOT, function, "cpu")} for function in FUNCTIONS
    }
    native = {
        p.relative_to(ROOT).as_posix()
        for folder in ("cpu", "numerics", "simd")
        for p in (ROOT / "csrc" / folder).rglob("*.*")
    }
    either = {path for function in FUNCTIONS for device in ("cpu", "cuda") for path in sources(ROOT, function, device)}
    unknown = native - {path.relative_to(ROOT).as_posix() for path in either}
    assert {name for name in unknown if "kernels-inl" not in name} == set()
    for function in FUNCTIONS:
        assert {"taskvec_kernels/backends/cpu.py", "csrc/bindings/module.cpp"} <= files[function]
        assert not any("triton" in name or "/cuda/" in name for name in files[function])
    assert "csrc/cpu/lowrank/lowrank_svd.cpp" not in files["pairwise"]
    assert "csrc/cpu/pairwise/pairwise.cpp" not in files["project"]
    assert any("sparsify" in name for name in files["pairwise"])  # fused
    on_gpu = {p.relative_to(ROOT).as_posix() for p in sources(ROOT, "lowrank_svd", "cuda")}
    assert {"csrc/cuda/lowrank_svd.cu", "csrc/cuda/factors_f32.cu", "csrc/cuda/gram.h", "csrc/numerics/svd.h"} <= on_gpu
    assert "taskvec_kernels/backends/triton/gram.py" in {
        p.relative_to(ROOT).as_posix() for p in sources(ROOT, "pairwise", "cuda")
    }


FILES = {
    "CMakeLists.txt": 'project(x)\nadd_compile_options("-O3")  # fast\n',
    "csrc/cpu/pairwise/pairwise.cpp": '#include "cpu/dots.h"\nint f(int x) { return x; }\n',
    "csrc/cpu/dots.h": "// dots\nint dots();\n",
    "csrc/cpu/dots.cpp": "int dots() { return 1; }\n",
    "csrc/cpu/other.h": "int other();\n",
    "csrc/cpu/project/project.cpp": "int p();\n",
    "taskvec_kernels/__init__.py": "from .pairs import pairwise\n",
    "taskvec_kernels/pairs.py": '"""Pairs."""\n\n\ndef pairwise(x, y=()):\n    """Adds."""\n    return x\n',
    "taskvec_kernels/backends/cpu.py": "from ..types import T\n",
    "taskvec_kernels/types.py": "T = 1\n",
    "taskvec_kernels/backends/triton/__init__.py": "a = 1\n",
}


@pytest.mark.parametrize(
    ("file", "text", "changed"),
    [
        ("csrc/cpu/pairwise/pairwise.cpp", '#include "cpu/dots.h"\nint f(int x)\n{ return x; /* x */ }\n', False),
        ("csrc/cpu/pairwise/pairwise.cpp", '#include "cpu/dots.h"\nint f(int x) { return x + 1; }\n', True),
        ("csrc/cpu/pairwise/new.cpp", "int g();\n", True),
        ("csrc/cpu/dots.h", "/* of two */ int dots( );\n", False),
        ("csrc/cpu/dots.h", "long dots();\n", True),
        ("csrc/cpu/dots.cpp", "int dots() { return 2; }\n", True),
        ("csrc/cpu/other.h", "long other();\n", False),
        ("csrc/cpu/project/project.cpp", "long p();\n", False),
        ("CMakeLists.txt", 'project(y)\nadd_compile_options("-O3")\n', False),
        ("CMakeLists.txt", 'project(x)\nadd_compile_options("-O2")\n', True),
        ("taskvec_kernels/__init__.py", "", False),
        ("taskvec_kernels/pairs.py", "def f(): pass\n\ndef pairwise(x,\n    y=()):\n    return x\n", True),
        ("taskvec_kernels/pairs.py", '"""Two."""\n\n\ndef pairwise(\n    x, y=()\n):\n    return x  # it\n', False),
        ("taskvec_kernels/types.py", "T = 2\n", True),
        ("taskvec_kernels/backends/triton/__init__.py", "a = 2\n", False),
    ],
)
def test_a_function_depends_on_what_it_includes_and_imports(tmp_path, file, text, changed) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    before = fingerprints(tmp_path)
    (tmp_path / file).write_text(text)
    assert (fingerprints(tmp_path)["cpu pairwise"] != before["cpu pairwise"]) is changed


def test_a_row_has_that_of_its_function_or_of_all() -> None:
    kernels = fingerprints(ROOT)
    assert of_a_row(kernels, "pairwise", "", "cpu") == kernels["cpu pairwise"] != kernels["cpu"]
    assert of_a_row(kernels, "pairwise", "", "cuda") == kernels["cuda pairwise"] != kernels["cpu pairwise"]
    assert of_a_row(kernels, "pairwise", "peers", "cpu") == of_a_row(kernels, "sweep", "real", "cpu") == kernels["cpu"]
    assert fingerprints(None) == {} and of_a_row({}, "pairwise", "", "cpu") == ""
