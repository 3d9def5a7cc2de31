"""Another revision: found, built once, or refused with the reason."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from taskvec_bench.revisions import PACKAGE, RevisionError, built, resolved

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

BUILD_SYSTEM = """
[build-system]
requires = []
backend-path = ["."]
build-backend = "backend"
"""
# a wheel of one file, by no tool
BACKEND = """
import zipfile
NAME, INFO = "taskvec_kernels-0-py3-none-any.whl", "taskvec_kernels-0.dist-info/"
FILES = {
    "taskvec_kernels/__init__.py": "",
    INFO + "METADATA": "Metadata-Version: 2.1\\nName: taskvec_kernels\\nVersion: 0\\n",
    INFO + "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}
def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/" + NAME, "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
        wheel.writestr(INFO + "RECORD", "".join(f"{name},,\\n" for name in [*FILES, INFO + "RECORD"]))
    return NAME
"""


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(root: Path, **files: str) -> str:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_toml", ".toml").replace("_py", ".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "a change")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("build/\n")
    commit(tmp_path, backend_py=BACKEND, pyproject_toml=BUILD_SYSTEM)
    return tmp_path


def with_package(root: Path, text: str) -> str:
    (root / PACKAGE).parent.mkdir(exist_ok=True)
    (root / PACKAGE).write_text(text)
    return commit(root)


def test_built_once_by_its_own_recipe(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sha = with_package(project, "")
    folder = built(project, sha)
    assert (folder / PACKAGE).is_file() and folder.is_relative_to(project / "build" / "compare")
    assert capsys.readouterr().err == f"building {sha[:8]}, once\n"
    (folder / "kept").touch()
    assert built(project, sha) == folder and (folder / "kept").exists()
    assert capsys.readouterr().err == ""
    assert sorted(path.suffix for path in folder.parent.iterdir()) == ["", ".log"]
    assert git(project, "status", "--porcelain") == ""


def test_a_failed_build_says_why_and_leaves_its_log(project: Path) -> None:
    with_package(project, "")
    sha = commit(project, backend_py="def build_wheel(*a, **k): raise OSError('no compiler at all')")
    with pytest.raises(RevisionError) as caught:
        built(project, sha)
    *lines, reason = str(caught.value).splitlines()
    assert any("no compiler at all" in line for line in lines) and len(lines) <= 12
    log = Path(reason.removeprefix(f"{sha[:8]} does not build; the whole output is in "))
    assert "no compiler at all" in log.read_text()
    assert list(log.parent.iterdir()) == [log]


def test_a_revision_by_any_name(project: Path) -> None:
    sha = with_package(project, "")
    git(project, "tag", "a-tag")
    later = with_package(project, "later = 1")
    assert resolved(project, "a-tag") == resolved(project, "HEAD~1") == resolved(project, sha[:9]) == sha
    assert resolved(project, "main") == later


def test_the_default_is_what_changed(project: Path) -> None:
    first = with_package(project, "")
    second = with_package(project, "second = 2")
    assert resolved(project, "") == first  # on main, nothing under way
    (project / PACKAGE).write_text("under = 'way'")
    assert resolved(project, "") == second
    git(project, "checkout", "-q", "-b", "branch")
    with_package(project, "third = 3")
    with_package(project, "fourth = 4")
    assert resolved(project, "") == second


def test_what_is_no_revision(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(RevisionError, match=r"^HEAD \([0-9a-f]{8}\) has no taskvec_kernels/__init__.py; name a later"):
        resolved(project, "HEAD")
    for ref in ("no-such", "--all", "HEAD:backend.py"):
        with pytest.raises(RevisionError, match=f"^no revision '{ref}' in "):
            resolved(project, ref)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(RevisionError, match="is not a git checkout"):
        resolved(elsewhere, "HEAD")
    (project / "below").mkdir()
    with pytest.raises(RevisionError, match="is not a git checkout but a folder of"):
        resolved(project / "below", "HEAD")
