"""``project`` gives what ``sweep`` gives for the pair, and the document of the command."""

from __future__ import annotations

import json
import math
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from taskvec import Solver, TaskvecError, project, sweep
from taskvec.queries.details import details, details_of_pair
from taskvec.queries.selection import Selection, select
from taskvec.reports.documents import project_document
from taskvec.reports.projection import projection_table
from taskvec.sweeps.baseline import add_baseline
from taskvec.sweeps.pair import VALUES, compare_pair


@pytest.fixture
def pair(adapter):
    """Different ranks; a module that only one has, one of another shape, one that is zero in the target."""
    source = adapter(
        "source",
        {"h.0.q": (24, 16, 4), "h.2.q": (24, 16, 4), "h.10.q": (24, 16, 4), "h.0.v": (8, 16, 4), "x": (4, 4, 1)},
        seed=1,
    )
    target = adapter(
        "target",
        {"h.0.q": (24, 16, 2), "h.2.q": (24, 16, 4), "h.10.q": (24, 16, 2), "h.0.v": (9, 16, 2), "y": (4, 4, 1)},
        seed=2,
    )
    b, a, _ = target.modules["h.2.q"].update()
    zero = adapter(
        "target", {path: module.update()[:2] for path, module in target.modules.items()} | {"h.2.q": (0 * b, a)}
    )
    return source, zero


def test_every_module_is_that_of_the_sweep(pair, adapter) -> None:
    source, target = pair
    result = project(source, target)
    shared = [module.module for module in result.modules]
    assert shared == ["h.0.q", "h.2.q", "h.10.q"]
    both = [adapter(one.name, {path: one.modules[path].update()[:2] for path in shared}) for one in pair]
    dataset = sweep(both).sel(source="source", target="target")
    for module in result.modules:
        want = dataset.sel(module=module.module)
        for name in VALUES:
            assert getattr(module, name) == pytest.approx(float(want[name]), rel=1e-4, abs=1e-5, nan_ok=True), name
        np.testing.assert_allclose(module.s1, want.spectrum[: len(module.s1)], rtol=1e-6)


def test_s2_is_the_clipped_projection(pair) -> None:
    source, target = pair
    for module in project(source, target).modules:
        tau1, tau2 = (
            one.scale * (one.update().b.double() @ one.update().a.double()).numpy()
            for one in (source.modules[module.module], target.modules[module.module])
        )
        U, S, Vh = np.linalg.svd(tau1)
        np.testing.assert_allclose(module.s1, S[:4], rtol=1e-5)
        want = np.maximum(0, np.diag(U[:, :4].T @ tau2 @ Vh[:4].T))
        np.testing.assert_allclose(module.s2, want, atol=2e-6 * np.linalg.norm(tau2))


def test_means_skip_nan_and_count(pair) -> None:
    result = project(*pair)
    assert set(result.mean) == set(result.used) == set(VALUES)
    for name in VALUES:
        values = [getattr(module, name) for module in result.modules if not math.isnan(getattr(module, name))]
        assert result.used[name] == len(values)
        assert result.mean[name] == pytest.approx(np.mean(values))
    assert (result.used["rec"], result.used["cosine"]) == (3, 2)


def test_z_leaves_the_zero_target_out(pair) -> None:
    result = project(*pair)
    zero = result.modules[1]
    assert zero.rec == zero.rec_chance == zero.rec_chance_sd == 0
    live = [result.modules[0], result.modules[2]]
    z = sum(m.rec - m.rec_chance for m in live) / math.sqrt(sum(m.rec_chance_sd**2 for m in live))
    assert result.rec_z_raw == pytest.approx(z)


def test_pooled_shares_are_of_the_whole_update(pair) -> None:
    """As if the modules were one block-diagonal matrix."""
    source, target = pair
    held = whole = 0.0
    for module in project(source, target).modules:
        tau1, tau2 = (
            one.scale * (one.update().b.double() @ one.update().a.double()).numpy()
            for one in (source.modules[module.module], target.modules[module.module])
        )
        U, _, Vh = np.linalg.svd(tau1)
        held += np.linalg.norm(U[:, :4].T @ tau2 @ Vh[:4].T) ** 2
        whole += np.linalg.norm(tau2) ** 2
    assert project(source, target).pooled["captured"] == pytest.approx(held / whole, rel=1e-5)


def test_other_layers_are_those_of_the_sweep(adapter) -> None:
    """And the whole result is what a sweep of the two says of the pair, ranks unequal."""
    spec = {f"h.{i}.q": (24, 16, 3) for i in range(7)}
    zoo = [adapter("a", spec, seed=1), adapter("b", {path: (24, 16, 5) for path in spec}, seed=2)]
    whole = add_baseline(sweep(zoo), zoo)
    selected = select(whole, Selection())
    rows = {row["source"]: (row, one) for row, one in zip(
        selected.rows.to_dict("records"), details(whole, selected.rows), strict=True
    )}  # fmt: skip
    ((both, dataset),) = compare_pair(*zoo, Solver())
    for projection, found in zip(both, details_of_pair(dataset), strict=True):
        row, want = rows[projection.source]
        for name in ("captured", "rec"):
            np.testing.assert_allclose(projection.other_layers[name], want.other_layers[name], rtol=1e-4)
            np.testing.assert_allclose(found.other_layers[name], want.other_layers[name], rtol=1e-4)
        assert projection.other_layers["captured"].n == 6
        assert projection.pooled["captured"] == pytest.approx(row["captured"], rel=1e-5)
        assert projection.excess == pytest.approx(row["excess"], rel=1e-4)
        assert projection.excess_quartiles == pytest.approx(want.excess_quartiles, rel=1e-4)
        assert projection.rec_z_raw == pytest.approx(row["rec_z_raw"], rel=1e-4)
        assert (found.direction.verdict, found.flags) == (want.direction.verdict, want.flags)
        assert found.direction.ratio_cut == pytest.approx(want.direction.ratio_cut, rel=1e-4)
    assert "unequal ranks" in found.flags


def test_what_is_not_compared_has_a_reason(pair) -> None:
    skipped = {item.module: item.reason for item in project(*pair).skipped}
    assert skipped == {"h.0.v": "8 × 16 in source but 9 × 16 in target", "x": "only in source", "y": "only in target"}


def test_on_itself_everything_is_included(pair) -> None:
    result = project(pair[0], pair[0])
    assert result.mean["rec"] == pytest.approx(1, abs=1e-5)
    assert result.mean["cosine"] == pytest.approx(1, abs=1e-5)
    assert result.mean["residual"] == pytest.approx(0, abs=2e-3)  # the root of 4e-6
    assert not result.skipped


def test_without_a_common_module_is_an_error(adapter) -> None:
    with pytest.raises(TaskvecError, match=r"a and b have no module in common, got for example x and y"):
        project(adapter("a", {"x": (4, 4, 1)}), adapter("b", {"y": (4, 4, 1)}))


def test_the_document_is_strict_json_with_null_for_nan(pair) -> None:
    ((both, dataset),) = compare_pair(*pair, Solver())
    document = project_document([(both, details_of_pair(dataset))])
    assert document == json.loads(json.dumps(document, allow_nan=False))
    (result,) = document["results"]
    assert result["lambda"] == 0.0 and result["other_way"]["pooled"]["captured"] == both[1].pooled["captured"]
    assert result["modules"][1]["cosine"] is None and result["sigma0"] is None


def test_the_table_has_every_module_and_both_ways(pair) -> None:
    ((both, dataset),) = compare_pair(*pair, Solver())
    console = Console(width=200, record=True, file=StringIO())
    console.print(projection_table(both, details_of_pair(dataset)))
    shown = console.export_text()
    there = both[0]
    assert all(module.module in shown for module in there.modules)
    assert "source → target" in shown and "target → source" in shown
    for one in both:
        assert f"{one.mean['rec']:.3f}" in shown and f"{one.pooled['captured']:.4f}" in shown
    assert f"{there.rec_z_raw:+.1f}" in shown and "3 modules not compared" in shown and "other layers" in shown
    assert "target partly zero" in shown
