"""The layer baseline against sweeps of adapters whose layers were renamed, and what is stored of it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from taskvec import Solver, TaskvecError, sweep
from taskvec.store.memory import AdapterFactors
from taskvec.sweeps import shifted
from taskvec.sweeps.baseline import add_baseline
from taskvec.sweeps.options import Options
from taskvec.sweeps.shifted import shifted_pairs

LAYERS = 7
SPEC = {f"h.{i}.{kind}": (m, 16, 3) for i in range(LAYERS) for kind, m in (("q", 24), ("v", 8))}
NAMES = ("shifted_captured", "shifted_rec", "shifted_rec_z")


@pytest.fixture
def zoo(adapter):
    """Three adapters, one of another rank and with a module that cannot change places, one that lacks a layer."""
    return [
        adapter("a", SPEC, seed=1),
        adapter("b", {path: (m, n, 2) for path, (m, n, _) in SPEC.items()} | {"head": (5, 5, 1)}, seed=2),
        adapter("c", {path: size for path, size in SPEC.items() if ".3." not in path} | {"head": (5, 5, 1)}, seed=3),
    ]


def renamed(adapter, one, shift: int, layers: list[int]):
    """An adapter whose layer l has the name of another: module l of a source meets its module l + shift."""
    moved = {layer: layers[(k - shift) % len(layers)] for k, layer in enumerate(layers)}
    factors = {}
    for path, module in one.modules.items():
        h, layer, *kind = path.split(".")
        factors[".".join([h, str(moved[int(layer)]), *kind]) if kind else path] = module.update()[:2]
    return adapter("renamed", factors)


@pytest.mark.parametrize(("source", "target", "layers"), [(0, 1, range(7)), (0, 2, [0, 1, 2, 4, 5, 6])])
def test_a_shift_is_the_pair_with_its_layers_renamed(zoo, adapter, source, target, layers) -> None:
    """All of them, both ways; the ranking of a sweep with the renamed adapter has the same numbers."""
    from taskvec.queries.ranking import ranking

    found = shifted_pairs(AdapterFactors(zoo), [(source, target)], Options())
    layers = list(layers)
    there, back = found[source, target], found[target, source]
    assert len(there.captured.value) == len(layers)
    a, b = zoo[source], zoo[target]
    paths = [path for path in a.modules if path in b.modules and path.startswith("h.")]
    a, b = (adapter(one.name, {path: one.modules[path].update()[:2] for path in paths}) for one in (a, b))
    for shift in range(len(layers)):
        other = renamed(adapter, b, shift, layers)
        rows = ranking(sweep([a, other])).set_index("source")
        for one, row in ((there, rows.loc[a.name]), (back, rows.loc["renamed"])):
            assert one.captured.value[shift] == pytest.approx(row["captured"], rel=1e-5)
            assert one.rec.value[0, shift] == pytest.approx(row["rec"], rel=1e-5)
            assert one.rec_z.value[0, shift] == pytest.approx(row["rec_z_raw"], rel=1e-4, abs=1e-5)


def test_cut_to_the_smaller_rank_is_the_pair_of_cut_adapters(zoo, adapter) -> None:
    import torch

    from taskvec.queries.ranking import ranking

    found = shifted_pairs(AdapterFactors(zoo), [(0, 1)], Options())
    factors = {}
    for path, module in zoo[0].modules.items():
        b, a, scale = module.update()
        U, S, Vh = torch.linalg.svd(b.double() @ a.double(), full_matrices=False)
        rank = min(2, len(S))
        factors[path] = ((U[:, :rank] * S[:rank]).float() * scale / 8, Vh[:rank].float())  # alpha / r is 16 / 2
    cut = adapter("cut", factors)
    whole = {path: zoo[1].modules[path].update()[:2] for path in SPEC}
    result = sweep([cut, adapter("b", whole)])
    rows = ranking(result).set_index("source")
    assert found[0, 1].cut.value[0] == pytest.approx(rows.loc["cut", "captured"], rel=1e-4)
    assert found[1, 0].cut.value[0] == pytest.approx(rows.loc["b", "captured"], rel=1e-4)
    for path in SPEC:
        of_module = float(result["captured"].sel(module=path, source="cut", target="b"))
        assert found[0, 1].of_cut[path] == pytest.approx(of_module, rel=1e-4)
    assert len(found[0, 1].cut.value) == LAYERS and (found[0, 1].cut.value > 0).all()
    equal = shifted_pairs(AdapterFactors([zoo[0], zoo[0]]), [(0, 1)], Options())[0, 1]
    assert equal.of_cut == {} and np.isnan(equal.cut.value).all()


def test_every_pair_both_ways_and_in_any_order(zoo) -> None:
    plain = sweep(zoo)
    dataset = add_baseline(plain, zoo)
    ends = list(zip(dataset["pair_source"].values.tolist(), dataset["pair_target"].values.tolist(), strict=True))
    assert sorted(ends) == [(i, j) for i in range(3) for j in range(3) if i != j]
    assert dataset.sizes["shift"] == LAYERS
    xr.testing.assert_identical(dataset[list(plain.data_vars)], plain)
    of_c = [k for k, pair in enumerate(ends) if 2 in pair]
    assert dataset["shifted_captured"].notnull().sum("shift").values[of_c].tolist() == [LAYERS - 1] * 4
    some = add_baseline(plain, zoo, [("c", "a"), ("a", "c")])
    assert list(zip(some["pair_source"].values.tolist(), some["pair_target"].values.tolist(), strict=True)) == [
        (0, 2),
        (2, 0),
    ]
    for name in NAMES:
        np.testing.assert_allclose(some[name], dataset[name][[ends.index((0, 2)), ends.index((2, 0))], : LAYERS - 1])
    assert add_baseline(plain, zoo, []) is plain


RANDOM = Solver(0.2, method="adam", start="normal", steps=20)


@pytest.mark.parametrize(("memory", "solver"), [(1, None), (20_000, None), (2**28, RANDOM)])
def test_copies_of_any_size_give_what_every_module_on_every_gives(zoo, memory: int, solver, monkeypatch) -> None:
    plain = sweep(zoo, solver=solver)
    every = add_baseline(plain, zoo)
    monkeypatch.setattr(shifted, "SQUARE", 0)
    copies = add_baseline(plain, zoo, memory=memory)
    for name in NAMES:
        np.testing.assert_allclose(copies[name], every[name], rtol=1e-5, atol=1e-5)


def test_zero_updates_and_nothing_in_common(uneven) -> None:
    dataset = add_baseline(sweep(uneven), uneven)
    names = [one.name for one in uneven]
    at = {
        (names[i], names[j]): k
        for k, (i, j) in enumerate(
            zip(dataset["pair_source"].values.tolist(), dataset["pair_target"].values.tolist(), strict=True)
        )
    }
    captured = dataset["shifted_captured"].values
    assert (captured[at["zero", "one"], :2] == 0).all() and np.isnan(captured[at["one", "zero"]]).all()
    assert np.isnan(captured[at["one", "apart"]]).all()
    assert np.isnan(captured[at["one", "low"]]).all()  # one module: nothing to change places with
    assert dataset["captured_cut"].values[at["one", "low"]][0] > 0


@pytest.mark.parametrize(
    "solver", [Solver([0.0, 0.05]), Solver(0.01, method="adam", start="normal", steps=20)], ids=str
)
def test_with_sparsity(zoo, solver) -> None:
    dataset = add_baseline(sweep(zoo, solver=solver), zoo, [("a", "b")])
    several = solver.several
    assert dataset["shifted_rec"].dims == (("pair", "lam", "shift") if several else ("pair", "shift"))
    assert dataset["shifted_captured"].dims == ("pair", "shift")
    # shift 0 is the pair itself, over the modules that can change places
    rec = dataset["rec"].sel(source="a", target="b", module=list(SPEC)).mean("module").values
    np.testing.assert_allclose(dataset["shifted_rec"].values[0, ..., 0], rec, rtol=1e-5)


def test_it_joins_a_stored_result(zoo, tmp_path) -> None:
    out = tmp_path / "out.zarr"
    plain = sweep(zoo, out)
    before = dict(plain.attrs)
    stored = add_baseline(plain, zoo, [("a", "b")], out=out)
    in_memory = add_baseline(sweep(zoo), zoo, [("a", "b")])
    xr.testing.assert_allclose(stored.load(), in_memory)
    with xr.open_zarr(out, consolidated=True) as again:
        assert {**again.attrs, "checksum": ""} == {**before, "checksum": ""}
        assert set(again.data_vars) == set(in_memory.data_vars)
        assert all(array.attrs["long_name"] for array in again.data_vars.values())


def test_the_adapters_are_those_of_the_result(zoo) -> None:
    dataset = sweep(zoo)
    for pairs in (None, [("a", "c")]):
        xr.testing.assert_allclose(add_baseline(dataset, zoo[::-1], pairs), add_baseline(dataset, zoo, pairs))
    with pytest.raises(TaskvecError, match="not those of the result"):
        add_baseline(dataset, zoo[1:])
    with pytest.raises(TaskvecError, match="no adapter 'd' in the result"):
        add_baseline(dataset, zoo, [("a", "d")])
