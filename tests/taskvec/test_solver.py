"""λ > 0 through ``project`` and ``sweep``."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import torch
import xarray as xr

from taskvec import Solver, TaskvecError, project, sweep
from taskvec.cli.solver import OPTIONS
from taskvec.queries.ranking import ranking
from taskvec.sweeps.compute import module_seeds
from taskvec.sweeps.layout import BY_LAM
from taskvec.sweeps.options import make_solver
from taskvec_kernels import sparsify

ADAM = {"method": "adam", "start": "normal", "steps": 30}


@pytest.fixture
def zoo(adapter):
    """Four adapters, two of another rank, of which the last two share a factor."""
    wide, narrow = ({f"h.{i}.{kind}": (24, 16, r) for i in range(2) for kind in "qv"} for r in (4, 3))
    made = [adapter("a", wide, seed=1), adapter("b", narrow, seed=2), adapter("c", wide, seed=3)]
    factors = {path: module.update()[:2] for path, module in made[2].modules.items()}
    return [*made, adapter("d", {path: (b + 0.3 * torch.randn_like(b), a) for path, (b, a) in factors.items()})]


def test_s2_is_what_the_kernel_finds(zoo) -> None:
    a, b = zoo[2], zoo[3]
    closed, sparse = project(a, b, [0.0, 0.05])
    alone = project(a, b)
    assert dataclasses.replace(closed, other_layers={}) == dataclasses.replace(alone, other_layers={})
    assert (closed.lam, sparse.lam) == (0.0, 0.05)
    for one, other in zip(closed.modules, sparse.modules, strict=True):
        tau = b.modules[one.module]
        B, A = (t.double() for t in tau.update()[:2])
        norm = tau.scale * torch.linalg.matrix_norm(B @ A)
        U, _, Vh = torch.linalg.svd((lambda f: f.b.double() @ f.a.double())(a.modules[one.module].update()))
        d = tau.scale * torch.diagonal(U[:, :4].T @ B @ A @ Vh[:4].T)
        want = sparsify(d, norm, 0.05)
        np.testing.assert_allclose(other.s2, want, atol=1e-5 * float(norm))
        residual = (norm.square() - (want * (2 * d - want)).sum()).sqrt() / norm
        assert other.residual == pytest.approx(float(residual), abs=1e-5)
        assert (other.cosine, other.excess, other.entropy) == (one.cosine, one.excess, one.entropy)
        assert math.isnan(other.rec_chance) and math.isnan(other.rec_chance_sd)
    assert math.isnan(sparse.rec_z_raw) and math.isnan(sparse.mean["rec_chance"]) and sparse.used["rec_chance"] == 0
    assert sum(sparse.modules[0].s2) < sum(closed.modules[0].s2)


@pytest.mark.parametrize("options", [{}, {"norm": "squared"}, ADAM], ids=["exact", "squared", "adam"])
def test_several_are_each_alone(zoo, options) -> None:
    """And one alone has the layout of a sweep without λ."""
    lams = [0.0, 0.01, 0.2]
    whole = sweep(zoo, solver=Solver(lams, **options))
    assert whole.sizes["lam"] == 3 and list(whole["lam"].values) == lams and whole.attrs["lambda"] == lams
    for lam in lams:
        one = sweep(zoo, solver=Solver(lam, **options))
        assert "lam" not in one.dims and one.attrs["lambda"] == lam
        part = whole.sel(lam=lam).drop_vars("lam")
        assert {name: var.dims for name, var in one.items()} == {name: var.dims for name, var in part.items()}
        xr.testing.assert_equal(one, part)
    assert {name for name, var in whole.items() if "lam" in var.dims} == BY_LAM - {"lp"}


def test_lambda_zero_is_the_sweep_without_it(zoo) -> None:
    xr.testing.assert_equal(sweep(zoo, lam=0.0), sweep(zoo))
    chance = sweep(zoo, lam=[0.0, 0.1])["rec_chance"]
    assert chance.sel(lam=0.0).notnull().all() and chance.sel(lam=0.1).isnull().all()


def test_a_stored_sweep_has_the_dimension(zoo, tmp_path) -> None:
    made = sweep(zoo, tmp_path / "out.zarr", lam=[0.0, 0.1])
    with xr.open_zarr(tmp_path / "out.zarr") as stored:
        assert stored["rec"].dims == ("module", "lam", "source", "target")
        assert stored["rec"].encoding["chunks"][1] == 1
        xr.testing.assert_equal(stored.load(), sweep(zoo, lam=[0.0, 0.1]))
    made.close()


def test_parts_of_a_zoo_give_the_same_pairs(zoo) -> None:
    """Random starts belong to the contents of source, target and module: no other adapter, name or batch matters."""
    solver = Solver(0.01, **ADAM)
    whole = sweep(zoo, solver=solver)
    for names in (["a", "d"], ["d", "a"], ["b", "c", "d"]):
        part = sweep([next(one for one in zoo if one.name == name) for name in names], solver=solver)
        # last bits that depend on the order, and names of groups after their first adapter
        part = part.drop_vars(["overlap_u", "overlap_v", "source_group", "target_group"])
        whole = whole.drop_vars(["source_group", "target_group"], errors="ignore")
        xr.testing.assert_equal(part, whole.sel(source=names, target=names)[list(part)].sel(module=part["module"]))
    tiled = sweep(zoo, memory=1, solver=solver)
    xr.testing.assert_allclose(tiled.drop_vars(["source_group", "target_group"]), whole, rtol=1e-5)
    alone = project(zoo[0], zoo[3], solver=solver)
    for module in alone.modules:
        want = whole.sel(module=module.module, source="a", target="d")
        assert module.rec == pytest.approx(float(want["rec"]), rel=1e-5)


def test_seeds_change_the_start_and_nothing_else_does(zoo) -> None:
    few = {"method": "adam", "start": "normal", "steps": 5}
    first, again, other = (sweep(zoo, solver=Solver(0.01, seed=seed, **few))["rec"] for seed in (0, 0, 1))
    xr.testing.assert_equal(first, again)
    assert float((first != other).mean()) > 0.8
    seeds = module_seeds(zoo, ["h.0.q", "h.1.q"], 0)
    assert seeds.shape == (2, 4) and seeds.unique().numel() == 8
    assert torch.equal(module_seeds(zoo[2:], ["h.1.q"], 0), seeds[1:, 2:])


def test_the_ranking_of_several(zoo) -> None:
    ranked = ranking(sweep(zoo, lam=[0.0, 0.1]))
    assert len(ranked) == 2 * 12 and list(ranked["lam"].unique()) == [0.0, 0.1]
    closed, sparse = (ranked[ranked["lam"] == lam] for lam in (0.0, 0.1))
    assert closed["rec_z_raw"].notna().all() and (closed["captured"].diff().dropna() <= 0).all()
    assert sparse[["rec_z_raw", "rec_chance"]].isna().all().all()
    assert (sparse["captured"].values == closed["captured"].values).all()
    assert set(sparse.iloc[0][["source", "target"]]) == {"c", "d"}


@pytest.mark.parametrize(
    ("lam", "words"),
    [(-1.0, ["λ", "-1"]), (math.nan, ["λ", "nan"]), ([0.0, math.inf], ["λ", "inf"]), ([], ["λ", "at least one"])],
    ids=str,
)
def test_bad_weights(zoo, lam, words) -> None:
    for function in (lambda: sweep(zoo, lam=lam), lambda: project(zoo[0], zoo[1], lam)):
        with pytest.raises(TaskvecError) as caught:
            function()
        assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_a_weight_named_twice(zoo) -> None:
    for function in (lambda: sweep(zoo, lam=[0.1, 0.1]), lambda: project(zoo[0], zoo[1], [0.1, 0.1])):
        with pytest.raises(TaskvecError, match=r"a λ is named twice, got 0.1, 0.1"):
            function()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "newton"}, ["method", "newton", "exact, adam"]),
        ({"norm": "nuclear"}, ["norm", "nuclear"]),
        ({"lr": 0.1}, ["lr", "adam"]),
        ({"method": "adam", "lr": 0.0}, ["lr"]),
        ({"method": "adam", "steps": 0}, ["steps"]),
        ({"method": "adam", "betas": (0.9, 1.0)}, ["betas"]),
        ({"method": "adam", "start": "ones"}, ["start", "ones"]),
        ({"method": "adam", "momentum": 1}, ["momentum"]),
    ],
    ids=str,
)
def test_bad_settings_of_a_command(settings, words) -> None:
    with pytest.raises(TaskvecError) as caught:
        make_solver(**settings)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_a_weight_and_a_solver_are_one_too_many(zoo) -> None:
    with pytest.raises(TaskvecError, match="lam and solver are both given"):
        sweep(zoo, lam=0.1, solver=Solver(0.1))


def test_commands_have_an_option_for_every_setting() -> None:
    """And a choice of words is that of the solver: every one is taken, by the method that has it."""
    fields = {field.name for field in dataclasses.fields(Solver)}
    assert fields - set(OPTIONS) == {"lam", "seed"} and set(OPTIONS) <= fields
    for name, option in OPTIONS.items():
        kind = get_args(option)[0]
        words = [word for one in (kind, *get_args(kind)) if get_origin(one) is Literal for word in get_args(one)]
        for word in words:
            assert getattr(make_solver(**{"method": "adam", name: word}), name) == word


def test_what_a_result_says_of_its_solver_makes_it_again(zoo) -> None:
    for solver in (Solver(), Solver([0.0, 0.1], norm="squared"), Solver(0.01, seed=3, **ADAM)):
        assert Solver.from_dict(sweep(zoo[:2], solver=solver).attrs) == solver
