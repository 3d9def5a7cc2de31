"""``lambda_path``: both directions along λ, exact and by Adam, and its picture."""

from __future__ import annotations

import json
import math
import sys
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from taskvec import TaskvecError, lambda_path, project
from taskvec.lambda_path import GRID, VALUES
from taskvec.plots import check_plot, plot_lambda_path
from taskvec.report import lambda_path_report


@pytest.fixture
def pair(adapter):
    """A module that is zero in one of them, and one that only one has."""
    a = adapter("a", {"h.0.q": (24, 16, 4), "h.1.q": (24, 16, 4), "x": (4, 4, 1)}, seed=1)
    b = adapter("b", {"h.0.q": (24, 16, 3), "h.1.q": (24, 16, 3)}, seed=2)
    B, A = b.modules["h.1.q"].factors()
    return a, adapter("b", {"h.0.q": b.modules["h.0.q"].factors(), "h.1.q": (0 * B, A)})


def test_every_point_is_a_projection(pair) -> None:
    result = lambda_path(*pair, [0.1, 0.0, 0.01])
    assert (result.starts, result.used, len(result.skipped)) == (0, 2, 1)
    for path, (source, target) in zip(result.paths, (pair, pair[::-1]), strict=True):
        assert (path.source, path.target) == (source.name, target.name)
        assert [point.lam for point in path.points] == [0.0, 0.01, 0.1]
        for point in path.points:
            one = project(source, target, point.lam)
            assert point.adam is None
            for name in VALUES:
                want = one.mean[name] if name != "active" else np.mean([np.count_nonzero(m.s2) for m in one.modules])
                assert point.exact[name] == pytest.approx(want, nan_ok=True), name


def test_the_spread_is_over_starts(pair) -> None:
    settings = {"method": "adam", "steps": 20, "lr": 0.01}
    result = lambda_path(*pair, [0.0, 0.1], seeds=3, **settings)
    assert result.starts == 3
    for path, (source, target) in zip(result.paths, (pair, pair[::-1]), strict=True):
        for point in path.points:
            runs = [
                project(source, target, point.lam, start="normal", seed=s, **settings).mean["rec"] for s in range(3)
            ]
            assert point.adam["rec"] == pytest.approx(np.mean(runs))
            assert point.adam_sd["rec"] == pytest.approx(np.std(runs, ddof=1)) and point.adam_sd["rec"] > 0


def test_adam_gone_far_enough_is_the_exact_curve(pair) -> None:
    for path in lambda_path(*pair, [0.0, 0.05, 0.3], method="adam", seeds=2).paths:
        for point in path.points:
            for name in ("l1", "l2", "rec", "residual"):
                assert point.adam[name] == pytest.approx(point.exact[name], abs=3e-3), name
                assert point.adam_sd[name] < 3e-3


def test_one_start_has_no_spread(pair) -> None:
    result = lambda_path(*pair, [0.1], method="adam", start="zeros", steps=5, seeds=4)
    assert result.starts == 1 and result.paths[0].points[0].adam_sd["rec"] == 0


def test_json_and_table(pair) -> None:
    result = lambda_path(*pair, method="adam", seeds=2, steps=5)
    document = result.to_dict()
    json.dumps(document, allow_nan=False)
    assert [point["lambda"] for point in document["paths"][1]["points"]] == list(GRID)
    console = Console(width=200, record=True, file=StringIO())
    console.print(lambda_path_report(result))
    text = console.export_text()
    assert "a → b" in text and "b → a" in text and text.count("1e-05") == 2 and "±" in text and "2 starts" in text
    assert "nan" not in text


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture(pair, tmp_path, adapter, suffix) -> None:
    """Names that matplotlib would take for formulas or hide are drawn."""
    odd = adapter("$_a^{$", {path: module.factors() for path, module in pair[0].modules.items()})
    path = tmp_path / f"path{suffix}"
    check_plot(path)
    plot_lambda_path(lambda_path(odd, pair[1], method="adam", seeds=2, steps=3), path)
    assert path.stat().st_size > 10_000
    with pytest.raises(TaskvecError, match="there already"):
        check_plot(path)


def test_what_cannot_be_drawn_is_said_before_any_work(tmp_path, monkeypatch) -> None:
    with pytest.raises(TaskvecError, match="format"):
        check_plot(tmp_path / "path.gif")
    with pytest.raises(TaskvecError, match="folder"):
        check_plot(tmp_path / "none" / "path.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(TaskvecError, match=r"taskvec-kernels\[plot\]"):
        check_plot(tmp_path / "path.png")


def test_bad_input(pair, adapter) -> None:
    for options, word in (
        ({"grid": [0.1, -1]}, "λ"),
        ({"seeds": 0, "method": "adam"}, "starts"),
        ({"lr": 1.0}, "lr"),
    ):
        with pytest.raises(TaskvecError, match=word):
            lambda_path(*pair, **options)
    with pytest.raises(TaskvecError, match="share no module"):
        lambda_path(pair[0], adapter("other", {"y": (4, 4, 1)}))
    assert math.isnan(lambda_path(*pair, [1.0]).paths[0].points[0].exact["entropy_projected"])
