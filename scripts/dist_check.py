"""Both packages as a stranger gets them: built, installed in a bare environment, used, seen by a type checker, removed.

``dist_check.py REQUIREMENT``: how the environment gets torch, first of all, so that no other build of it is fetched.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build/dist"
PROJECTS = {"taskvec-kernels": ROOT, "taskvec": ROOT / "python"}

USE = """
import taskvec_kernels as tk, torch
from pathlib import Path
pairs = tk.pairwise(tk.lowrank_svd(torch.rand(3, 8, 2), torch.rand(3, 2, 8)))
assert pairs.forward["rec"].shape == (3, 3)
assert Path(tk.get_include(), "taskvec/taskvec.h").is_file(), tk.get_include()
print(tk.__file__)
"""
# prints what is installed and nobody asked for
SURPLUS = """
import re, sys
from importlib import metadata
from packaging.requirements import Requirement
wanted, left = set(), sys.argv[1:]
while left:
    name = re.sub("[-_.]+", "-", left.pop()).lower()
    if name not in wanted:
        wanted.add(name)
        needs = map(Requirement, metadata.requires(name) or [])
        left += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
print(*({re.sub("[-_.]+", "-", d.name).lower() for d in metadata.distributions()} - wanted))
"""
TYPED = """
import taskvec
import taskvec_kernels
reveal_type(taskvec_kernels.simd_level)
reveal_type(taskvec.load_zoo)
"""


def run(*command: object, cwd: Path | None = None) -> str:
    """What a command prints; its whole output and the end of this program where it fails."""
    done = subprocess.run(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, check=False
    )
    if done.returncode:
        sys.exit(
            f"{done.stdout}\ndist-check: failed with status {done.returncode}: {' '.join(map(str, command))[:200]}"
        )
    return done.stdout


def pip(python: Path, *arguments: object) -> str:
    return run(python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)


def check_contents(name: str) -> Path:
    """The wheel of a project; it and the sdist hold what they should and nothing of the other project."""
    stem = f"{name.replace('-', '_')}-"
    (wheel,) = BUILT.glob(f"{stem}*.whl")
    (sdist,) = BUILT.glob(f"{stem}*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
    folders = {file.split("/")[0] for file in files if ".dist-info" not in file}
    assert folders == {name.replace("-", "_")}, f"{wheel.name} has {folders}"
    for wanted in ("py.typed", "version.py", *(["include/taskvec/taskvec.h", "_C.pyi"] if "kernels" in name else [])):
        assert f"{name.replace('-', '_')}/{wanted}" in files, f"{wheel.name} lacks {wanted}"
    assert any(file.endswith("licenses/LICENSE") for file in files), f"{wheel.name} has no licence"
    with tarfile.open(sdist) as source:
        tops = {Path(file).parts[1] for file in source.getnames() if len(Path(file).parts) > 1}
    assert not tops & {"tests", "benchmarks", "build", ".venv"}, f"{sdist.name} has {tops}"
    return wheel


def main(torch: str) -> None:
    shutil.rmtree(BUILT, ignore_errors=True)
    for project in PROJECTS.values():  # each wheel from its sdist
        run(sys.executable, "-m", "build", "--outdir", BUILT, project)
    wheels = {name: check_contents(name) for name in PROJECTS}
    print("built:", *sorted(path.name for path in BUILT.iterdir()), sep="\n  ")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        bare = place / "venv/bin/python"
        run(sys.executable, "-m", "venv", place / "venv")
        pip(bare, "install", torch)
        have = {"taskvec-kernels": ["pip", "setuptools", "packaging", "torch", "taskvec-kernels"]}
        have["taskvec"] = [*have["taskvec-kernels"], "taskvec"]
        for name, wheel in wheels.items():
            pip(bare, "install", wheel, "packaging")
            surplus = run(bare, "-c", SURPLUS, *have[name], cwd=place).split()
            assert not surplus, f"{name} brings {surplus}"
            assert str(place) in run(bare, "-c", USE, cwd=place), "another taskvec_kernels was imported"
            print(f"{name}: installed, brings what it needs and no more")
        run(place / "venv/bin/taskvec", "sweep", ROOT / "examples/zoo", "-o", place / "out.zarr", cwd=place)
        bench = subprocess.run([place / "venv/bin/taskvec", "bench"], cwd=place, capture_output=True, text=True)
        assert bench.returncode == 2 and "clone the project" in bench.stderr, bench.stderr
        pip(bare, "uninstall", "--yes", *wheels)
        left = [*(place / "venv").rglob("*taskvec*")]
        assert not left, f"uninstalling leaves {left}"
        print("taskvec: swept the example zoo; uninstalled without a trace")
        (place / "user.py").write_text(TYPED)
        seen = run(sys.executable, "-m", "mypy", "--strict", "user.py", cwd=place)
        assert "def () -> " in seen and "Zoo" in seen and "Any" not in seen, seen
        print("mypy sees the editable installs")


if __name__ == "__main__":
    main(*sys.argv[1:])
