"""``lambda_path``: both directions along λ, exact and by Adam, and its picture."""

from __future__ import annotations

import json
import math
import sys
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from taskvec import Solver, TaskvecError, lambda_path, project
from taskvec.reports.curves import curves_table
from taskvec.reports.plots import check_plot, plot_curves
from taskvec.results.curve import VALUES
from taskvec.sweeps.curve import GRID


@pytest.fixture
def pair(adapter):
    """A module that is zero in one of them, and one that only one has."""
    a = adapter("a", {"h.0.q": (24, 16, 4), "h.1.q": (24, 16, 4), "x": (4, 4, 1)}, seed=1)
    b = adapter("b", {"h.0.q": (24, 16, 3), "h.1.q": (24, 16, 3)}, seed=2)
    B, A, _ = b.modules["h.1.q"].update()
    return a, adapter("b", {"h.0.q": b.modules["h.0.q"].update()[:2], "h.1.q": (0 * B, A)})


def test_every_point_is_a_projection(pair) -> None:
    result = lambda_path(*pair, [0.1, 0.0, 0.01])
    assert (result.starts, result.used, len(result.skipped)) == (0, 2, 1)
    for path, (source, target) in zip(result.curves, (pair, pair[::-1]), strict=True):
        assert (path.source, path.target) == (source.name, target.name)
        assert [point.lam for point in path.points] == [0.0, 0.01, 0.1]
        for point in path.points:
            one = project(source, target, point.lam)
            assert point.adam is None
            for name in VALUES:
                want = one.mean[name] if name != "active" else np.mean([np.count_nonzero(m.s2) for m in one.modules])
                assert point.exact[name] == pytest.approx(want, nan_ok=True), name


def test_the_spread_is_over_starts(pair) -> None:
    settings = {"method": "adam", "steps": 20, "lr": 0.01, "start": "normal"}
    result = lambda_path(*pair, [0.0, 0.1], seeds=3, solver=Solver(**settings))
    assert result.starts == 3
    for path, (source, target) in zip(result.curves, (pair, pair[::-1]), strict=True):
        for point in path.points:
            runs = [project(source, target, solver=Solver(point.lam, seed=s, **settings)).mean["rec"] for s in range(3)]
            assert point.adam["rec"] == pytest.approx(np.mean(runs))
            assert point.adam_sd["rec"] == pytest.approx(np.std(runs, ddof=1)) and point.adam_sd["rec"] > 0


def test_adam_gone_far_enough_is_the_exact_curve(pair) -> None:
    for path in lambda_path(*pair, [0.0, 0.05, 0.3], solver=Solver(method="adam", start="normal"), seeds=2).curves:
        for point in path.points:
            for name in ("l1", "l2", "rec", "residual"):
                assert point.adam[name] == pytest.approx(point.exact[name], abs=3e-3), name
                assert point.adam_sd[name] < 3e-3


def test_one_start_has_no_spread(pair) -> None:
    result = lambda_path(*pair, [0.1], solver=Solver(method="adam", start="zeros", steps=5), seeds=4)
    assert result.starts == 1 and result.curves[0].points[0].adam_sd["rec"] == 0


def test_json_and_table(pair) -> None:
    result = lambda_path(*pair, solver=Solver(method="adam", start="normal", steps=5), seeds=2)
    document = result.to_dict()
    json.dumps(document, allow_nan=False)
    assert [one["lambda"] for one in document["results"]] == list(GRID)
    console = Console(width=200, record=True, file=StringIO())
    console.print(curves_table(result))
    text = console.export_text()
    assert "a → b" in text and "b → a" in text and text.count("1e-05") == 2 and "±" in text and "2 starts" in text
    assert "nan" not in text


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture(pair, tmp_path, adapter, suffix) -> None:
    """Names that matplotlib would take for formulas or hide are drawn."""
    odd = adapter("$_a^{$", {path: module.update()[:2] for path, module in pair[0].modules.items()})
    path = tmp_path / f"path{suffix}"
    check_plot(path)
    plot_curves(lambda_path(odd, pair[1], solver=Solver(method="adam", start="normal", steps=3), seeds=2), path)
    assert path.stat().st_size > 10_000
    with pytest.raises(TaskvecError, match="exists already"):
        check_plot(path)


def test_what_cannot_be_drawn_is_said_before_any_work(tmp_path, monkeypatch) -> None:
    with pytest.raises(TaskvecError, match="format"):
        check_plot(tmp_path / "path.gif")
    with pytest.raises(TaskvecError, match="folder"):
        check_plot(tmp_path / "none" / "path.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(TaskvecError, match="matplotlib is not installed; pip install matplotlib"):
        check_plot(tmp_path / "path.png")


def test_bad_input(pair, adapter) -> None:
    for options, word in (
        ({"grid": [0.1, -1]}, "λ"),
        ({"seeds": 0, "solver": Solver(method="adam")}, "starts"),
        ({"grid": [0.1, 0.1]}, "twice"),
    ):
        with pytest.raises(TaskvecError, match=word):
            lambda_path(*pair, **options)
    with pytest.raises(TaskvecError, match="no module in common"):
        lambda_path(pair[0], adapter("other", {"y": (4, 4, 1)}))
    assert math.isnan(lambda_path(*pair, [1.0]).curves[0].points[0].exact["entropy_projected"])
