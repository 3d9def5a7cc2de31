"""The help, what starts fast, and what the shell completes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from taskvec.cli import COMMANDS, main

HEAVY = ("torch", "xarray", "zarr", "pandas", "scipy", "rich", "numpy")


def help_of(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_bare_is_help_and_so_is_h(capsys) -> None:
    assert help_of(capsys) == help_of(capsys, "-h") == help_of(capsys, "--help")
    assert all(name in help_of(capsys) for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys) -> None:
    assert help_of(capsys, command, "-h") == help_of(capsys, command, "--help")


def test_settings_of_adam_have_a_panel_of_their_own(capsys) -> None:
    before, adam = help_of(capsys, "sweep", "-h").split("Adam (--method adam):\n")
    panel = adam.split("\n\n")[0]
    for option in ("--lr", "--steps", "--betas", "--schedule", "--units", "--start", "--tol", "--seed"):
        assert option in panel and option not in before
    assert "--top" not in panel and "--lambda" in before


def test_help_imports_nothing_heavy() -> None:
    code = (
        f"import sys; from taskvec.cli import main; main(['--help']); print([m for m in {HEAVY} if m in sys.modules])"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert out.splitlines()[-1] == "[]"


def test_the_shell_completes_commands() -> None:
    asked = {"_TASKVEC_COMPLETE": "complete_bash", "COMP_WORDS": "taskvec sw", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "taskvec"], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["sweep"]


@pytest.mark.parametrize("name", ["x.csv", "x.PARQUET", "x.json"])
def test_a_sweep_is_no_table(here, capsys, name: str) -> None:
    (here / "zoo").mkdir()
    assert main(["sweep", "zoo", "-o", name]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "x.zarr" in err and "taskvec query" in err


@pytest.mark.parametrize("command", [["show"], ["query", "--source", "first"], ["groups"]], ids=" ".join)
def test_reading_a_result_imports_no_torch(zoo_folder, tmp_path, command: list[str]) -> None:
    out = tmp_path / "out.zarr"
    assert main(["sweep", str(zoo_folder), "-o", str(out)]) == 0
    name, *options = command
    code = f"import sys; from taskvec.cli import main; main([{name!r}, {str(out)!r}, *{options!r}]); "
    code += "print([name for name in ('torch', 'taskvec_kernels', 'scipy.stats', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verdicts", [False, True])
def test_a_sweep_waits_for_nothing_that_it_does_not_use(zoo_folder, tmp_path, verdicts: bool) -> None:
    """xarray would import dask, where it is installed; scipy is for verdicts alone."""
    arguments = ["sweep", str(zoo_folder), "-o", str(tmp_path / "out.zarr"), *(["--json"] if verdicts else [])]
    code = "import sys; from taskvec.cli import main; status = main(); names = ('dask', 'scipy'); "
    code += "print(status, *(name for name in names if sys.modules.get(name)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.stderr.splitlines()[-1] == ("0 scipy" if verdicts else "0")


def test_a_command_is_built_alone(capsys) -> None:
    code = "import sys; from taskvec.cli import main; main(['env', '-h']); "
    code += "print(*(name for name in sys.modules if name in ('taskvec.cli.env', 'taskvec.cli.sweep')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "taskvec.cli.env"
