"""Python as people use it: paths wherever adapters are, sequences, short reprs, frames, bars in notebooks."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

import taskvec
from taskvec import progress


def test_paths_are_taken_wherever_adapters_are(zoo_folder, tmp_path) -> None:
    names = [zoo_folder / "first", str(zoo_folder / "near")]
    assert taskvec.project(*names).mean["rec"] > 0.9
    assert taskvec.sweep(str(zoo_folder)).sizes["source"] == 3
    assert taskvec.sweep(names).sizes["source"] == 2
    assert len(taskvec.lambda_path(*names, [0.0, 0.1]).curves) == 2
    result = taskvec.sweep(zoo_folder, tmp_path / "out.zarr")
    assert len(taskvec.ranking(result)) == 6
    assert taskvec.ranking(tmp_path / "out.zarr").equals(taskvec.ranking(result))


def test_a_zoo_is_a_sequence_with_names(zoo_folder) -> None:
    zoo = taskvec.load_zoo(zoo_folder)
    assert len(zoo) == 3 and [one.name for one in zoo] == ["far", "first", "near"]
    assert zoo["near"] is zoo[2] is zoo[-1] and "near" in zoo and zoo[0] in zoo and "other" not in zoo
    assert isinstance(zoo[:2], taskvec.Zoo) and len(zoo[:2]) == 2
    with pytest.raises(KeyError, match=r"'other'.*far, first, near"):
        zoo["other"]
    with pytest.raises(IndexError):
        zoo[3]


def test_reprs_are_short_and_harmless(adapter) -> None:
    zoo = taskvec.Zoo((adapter("<b>\x1b[31m", seed=1), adapter("two", seed=2)))
    for text in (repr(zoo), repr(zoo[1]), repr(taskvec.project(zoo[0], zoo[1]))):
        assert len(text) < 150 and "\x1b" not in text and "\n" not in text
    page = zoo._repr_html_()
    assert "&lt;b&gt;" in page and "<b>" not in page and "\x1b" not in page
    many = taskvec.Zoo(tuple(adapter(str(i)) for i in range(30)))._repr_html_()
    assert "and 10 more" in many and many.count("<tr>") == 22


def test_a_projection_is_a_frame(adapter) -> None:
    found = taskvec.project(adapter("a", seed=1), adapter("b", seed=2))
    frame = found.to_dataframe()
    assert frame[["module", "layer", "kind"]].iloc[0].tolist() == ["h.0.q", 0, "q"]
    assert len(frame) == len(found.modules) == 6
    np.testing.assert_allclose(frame["rec"].mean(), found.mean["rec"])
    held = (frame["captured"] * frame["norm"] ** 2).sum() / (frame["norm"] ** 2).sum()
    assert held == pytest.approx(found.pooled["captured"])


@pytest.mark.parametrize(
    ("kernel", "widgets", "drawn"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_notebooks_that_can_draw_have_bars(monkeypatch, kernel: bool, widgets: bool, drawn: bool) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if kernel:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(progress, "find_spec", lambda name: object() if widgets else None)
    assert progress.in_notebook() is drawn
