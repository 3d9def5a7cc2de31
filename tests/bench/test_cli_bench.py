"""``taskvec bench`` runs the benchmarks of a checkout, and says where they are without one."""

from __future__ import annotations

from taskvec.cli import bench, main


def test_in_a_checkout_the_options_are_the_benchmarks_own(capsys) -> None:
    assert main(["bench", "--list", "--only", "^compare_spectra N=4 "]) == 0
    assert capsys.readouterr().out == "compare_spectra N=4 r=8\n"
    assert main(["bench", "--only", "no such case"]) == 2
    assert capsys.readouterr().err.startswith("taskvec bench: --only no such case matches no case")


def test_an_installed_package_says_how_to_get_them(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(bench, "BENCHMARKS", tmp_path)
    assert main(["bench", "--quick"]) == 2
    out, err = capsys.readouterr()
    expected = "taskvec: the benchmarks are part of no package; clone the project and run `make bench-quick` there\n"
    assert (out, err) == ("", expected)
