"""``taskvec.plot``: the gallery's calls, axes of the caller's, and names that matplotlib would obey."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taskvec
from made_results import made_result
from taskvec.errors import TaskvecError
from taskvec.queries.curves import pair_curves
from taskvec.queries.inclusion import inclusion, levels
from taskvec.queries.matrices import Matrices

matplotlib = pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "docs/GALLERY.md"


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    from matplotlib import pyplot

    matplotlib.use("Agg")
    yield
    pyplot.close("all")


def test_the_gallery_runs_and_shows_what_it_draws(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "build").mkdir()
    (tmp_path / "docs/gallery").mkdir(parents=True)
    zoo = taskvec.load_zoo([ROOT / "examples/zoo"])
    taskvec.add_baseline(taskvec.sweep(zoo, "build/demo.zarr"), zoo, out="build/demo.zarr")
    text, names = GALLERY.read_text(), {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(block, names)
    shown = {Path(one).name for one in re.findall(r"!\[.*?\]\((.*?)\)", text)}
    assert shown == {file.name for file in (tmp_path / "docs/gallery").iterdir()}
    assert shown == {file.name for file in (ROOT / "docs/gallery").iterdir()}
    assert all(file.stat().st_size < 150_000 for file in (ROOT / "docs/gallery").iterdir())


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_formats_and_names(tmp_path, suffix) -> None:
    dataset = made_result(6, names=["$x^$", "_hidden", "a\nb", "<b>", "λ→", "%"])
    path = taskvec.plot.save(taskvec.plot.heatmap(dataset, metric="asymmetry"), tmp_path / f"x{suffix}")
    assert path.stat().st_size > 1000
    with pytest.raises(TaskvecError, match="exists"):
        taskvec.plot.save(taskvec.plot.heatmap(dataset), path)


def test_axes_of_the_callers() -> None:
    from matplotlib import pyplot

    dataset = made_result(8, layers=4)
    names = dataset["source"].values.tolist()
    plot: Any = taskvec.plot
    calls = (
        lambda axes: plot.heatmap(dataset, axes, threshold=0.3),
        lambda axes: plot.layer_curves(dataset, names[0], names[5], axes, metric="rec"),
        lambda axes: plot.inclusion_graph(dataset, 0.3, axes),
        lambda axes: plot.adapter_map(dataset, axes, labels={names[0]: "a"}),
    )
    for call in calls:
        axes = pyplot.subplots()[1]
        assert call(axes) is axes
        assert axes.has_data() or axes.texts


def test_what_is_not_there() -> None:
    dataset = made_result(3)
    first, second = dataset["source"].values[:2].tolist()
    with pytest.raises(TaskvecError, match="no such adapter"):
        taskvec.plot.layer_curves(dataset, "nobody", first)
    with pytest.raises(TaskvecError, match="has no 'linf'"):
        taskvec.plot.layer_curves(dataset, first, second, metric="linf")
    with pytest.raises(TaskvecError, match="no metric"):
        taskvec.plot.heatmap(dataset, metric="linf")
    with pytest.raises(TaskvecError, match="unknown picture format"):
        taskvec.plot.save(taskvec.plot.heatmap(dataset), "x.gif")


def test_curves_are_those_of_the_result() -> None:
    dataset = made_result(4, layers=3)
    names = dataset["source"].values.tolist()
    found = pair_curves(dataset, names[2], names[1], "rec")
    assert [one.kind for one in found.kinds] == ["q_proj", "v_proj"]
    np.testing.assert_array_equal(found.kinds[1].values, dataset["rec"].values[1::2, 2, 1])
    np.testing.assert_allclose(found.kinds[0].chance, 0.4, rtol=1e-6)
    assert found.other_layers is not None
    assert found.other_layers.n == 5


def square(shares: list[list[float]]) -> Matrices:
    captured = np.array(shares, np.float32)
    return Matrices(tuple("abcd"[: len(captured)]), {"captured": captured, "q": captured * 0})


def test_transitive_edges_fold_when_the_longer_way_is_stronger() -> None:
    nan = np.nan
    chain = square([[nan, 0.9, 0.5], [0.1, nan, 0.8], [0.1, 0.2, nan]])
    assert [(one.source, one.target) for one in inclusion(chain, 0.3)] == [(0, 1), (1, 2)]
    assert len(inclusion(chain, 0.3, fold=False)) == 3
    weak = square([[nan, 0.4, 0.9], [0.1, nan, 0.4], [0.1, 0.2, nan]])
    assert [(one.source, one.target) for one in inclusion(weak, 0.3)] == [(0, 2), (0, 1), (1, 2)]


def test_what_contains_stands_above() -> None:
    nan = np.nan
    edges = inclusion(square([[nan, 0.9, 0.5], [0.1, nan, 0.8], [0.4, 0.2, nan]]), 0.3, fold=False)
    assert levels(edges) == {0: 0, 1: 1, 2: 2}
    assert [one.both for one in edges] == [False, False, True]
