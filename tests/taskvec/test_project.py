"""``project`` gives what ``sweep`` gives for the pair, and the document of the command."""

from __future__ import annotations

import json
import math
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from taskvec import TaskvecError, project, sweep
from taskvec.chance import rec_chance
from taskvec.reports.tables import projection_table
from taskvec.sweeps.pair import VALUES


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
        for name in set(VALUES) - {"rec_chance"}:
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
    for module in live:
        assert (module.rec_chance, module.rec_chance_sd) == tuple(map(float, rec_chance(np.array(module.s1))))
    z = sum(m.rec - m.rec_chance for m in live) / math.sqrt(sum(m.rec_chance_sd**2 for m in live))
    assert result.rec_z == pytest.approx(z)


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
    document = project(*pair).to_dict()
    assert document == json.loads(json.dumps(document, allow_nan=False))
    assert list(document) == ["source", "target", "lambda", "modules", "mean", "used", "rec_z", "skipped"]
    assert document["lambda"] == 0.0
    assert document["modules"][1]["cosine"] is None


def test_the_table_has_every_module_and_the_mean(pair) -> None:
    result = project(*pair)
    console = Console(width=160, record=True, file=StringIO())
    console.print(projection_table(result))
    shown = console.export_text()
    assert all(module.module in shown for module in result.modules)
    assert "source → target" in shown and f"{result.mean['rec']:.3f}" in shown and f"{result.rec_z:+.1f}" in shown
    assert "3 modules not compared" in shown and "|z| < 3 proves nothing" in shown
