"""``pairwise`` with λ > 0: the sparse projection of every pair, fused, several λ's in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from taskvec_kernels import LowRankSVD, Pairwise, Solver, pairwise, reference, seeding, sparsify
from taskvec_kernels.solver import NORMS

from . import bounds
from .cases import ALL_PAIRWISE, DTYPES, name_of, padded, pick, zoo
from .compare import assert_pairs, assert_same_bits, assert_within, length, pair_bounds

LAMBDAS = [0.0, 0.05, 0.3, 0.9, 1.0, 2.0]
ALL: dict[str, Any] = {"metrics": ALL_PAIRWISE, "spectra": True, "p": 3.0}
ADAM: dict[str, Any] = {"method": "adam", "start": "normal", "steps": 20}


def one_lambda(out: Pairwise, i: int) -> Pairwise:
    ways = [way and {name: t if name == "d" else t[i] for name, t in way.items()} for way in out]
    return Pairwise(ways[0] or {}, ways[1])


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (3, 3, 7, 2), (17, 9, 8, 5), (40, 12, 10, 8), (3, 40, 36, 33)], ids=name_of
)
def test_all_against_all(shape: tuple[int, int, int, int], norm: str) -> None:
    x = zoo(*shape)
    assert_pairs(pairwise(x, solver=Solver(LAMBDAS, norm=norm), **ALL), x, p=3.0, lam=LAMBDAS, norm=norm)


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_x_against_y(dtype: torch.dtype, norm: str) -> None:
    """Unequal k, batch dimensions."""
    x, y = zoo(5, 19, 21, 4, dtype=dtype, batch=(2,)), zoo(18, 19, 21, 6, dtype=dtype, seed=10, batch=(2,))
    assert_pairs(pairwise(x, y, solver=Solver(LAMBDAS, norm=norm), **ALL), x, y, p=3.0, lam=LAMBDAS, norm=norm)


@pytest.mark.parametrize("lam", [0.2, 0.9])
@pytest.mark.parametrize("name", ALL_PAIRWISE)
def test_each_metric_alone(name: str, lam: float) -> None:
    x, y = zoo(5, 12, 10, 3), zoo(4, 12, 10, 2, seed=10)
    out = pairwise(x, y, metrics=[name], p=3.0, lam=lam)
    assert list(out.forward) == list(out.backward or ()) == [name] and out.forward[name].shape == (5, 4)
    assert_pairs(out, x, y, p=3.0, lam=lam)


def test_the_bounds_leave_most_pairs_to_compare() -> None:
    """An adapter on itself has no residual, and its S₂ is known to a thousandth; all others far better."""
    x = zoo(30, 60, 50, 8)
    apart = ~torch.eye(30, dtype=torch.bool)
    for lam in (0.05, 0.3):
        want = {name: t.double() for name, t in reference.pairwise(x, lam=lam, spectra=True).forward.items()}
        want |= {name: t.double() for name, t in reference.pairwise(x, metrics=["residual"], lam=lam).forward.items()}
        c = pair_bounds(x, x, want, torch.float32, None, bounds.projection(torch.float32), lam)
        norm = x.S.double().norm(dim=-1)
        assert (c.eta / norm)[apart].median() < 1e-5 and (c.eta / norm)[apart].quantile(0.9) < 1e-4
        assert (c.eta / norm).max() < 0.02
        assert c.noise[apart].double().mean() < 0.05


@pytest.mark.parametrize("options", [{}, {"norm": "squared"}, ADAM], ids=["exact", "squared", "adam"])
@pytest.mark.parametrize("n_x, n_y", [(20, None), (5, 33)])
def test_several_lambdas_are_each_alone(n_x: int, n_y: int | None, options: dict[str, Any]) -> None:
    """Bit for bit, in one pass, in any order; and λ = 0 among them is the plain result."""
    x = zoo(n_x, 12, 10, 5, batch=(2,))
    y = None if n_y is None else zoo(n_y, 12, 10, 3, batch=(2,), seed=10)
    lams = [0.3, 0.0, 1.5, 0.05]
    out = pairwise(x, y, solver=Solver(lams, **options), **ALL)
    assert (
        out.forward["l1"].shape[:3] == (4, 2, n_x) and out.forward["d"].dim() == 4 and out.forward["spectra"].dim() == 5
    )
    for i, lam in enumerate(lams):
        assert_same_bits(tuple(one_lambda(out, i)), tuple(pairwise(x, y, solver=Solver(lam, **options), **ALL)))
    if options is not ADAM:
        assert_same_bits(tuple(one_lambda(out, 1)), tuple(pairwise(x, y, **ALL)))
    assert_same_bits(out.forward["d"], pairwise(x, y, **ALL).forward["d"])


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor, np.array])
def test_kinds_of_lambda(kind: Any) -> None:
    x = zoo(5, 12, 10, 3)
    out = pairwise(x, lam=kind([0.25]))
    assert out.forward["l1"].shape == (1, 5, 5)
    for number in (0.25, np.float64(0.25), torch.tensor(0.25), np.array(0.25)):
        assert_same_bits(pairwise(x, lam=number).forward, {name: t[0] for name, t in out.forward.items()})


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=name_of)
def test_spectra_are_those_of_sparsify(dtype: torch.dtype, norm: str) -> None:
    """Fed the same d; ‖τ‖ is rounded to the result's type on the way there, and kept in fp64 here."""
    x, y = zoo(9, 19, 21, 5, dtype=dtype), zoo(4, 19, 21, 3, dtype=dtype, seed=10)
    out = pairwise(x, y, solver=Solver(LAMBDAS, norm=norm), **ALL)
    for way, target in ((out.forward, y), (out.backward, x)):
        assert way is not None
        tau_norm = target.S.double().norm(dim=-1).expand(way["d"].shape[:-1])
        S = sparsify(way["d"].double(), tau_norm, LAMBDAS, norm=norm, check=False)
        # ‖S_j‖₂ is summed in another order: c² of a contained task moves by rounding, and its root by the root of it
        assert_within("S", way["spectra"], S, (4e-8 + 2 * bounds.unit(dtype)) * tau_norm[..., None])


def test_the_residual_is_the_distance() -> None:
    """‖U S₂ Vᴴ − τ₂‖_F / ‖τ₂‖_F of the dense matrices, whatever S₂ is."""
    x = zoo(6, 14, 12, 4, dtype=torch.float64)
    tau = x.U * x.S[:, None, :] @ x.Vh
    for options in ({}, {"norm": "squared"}, {"method": "adam", "steps": 7}):
        out = pairwise(x, solver=Solver([0.1, 0.6], **options), **ALL).forward
        rebuilt = torch.einsum("imk,lijk,ikn->lijmn", x.U, out["spectra"], x.Vh)
        distance = (rebuilt - tau).norm(dim=(-2, -1)) / length(x)
        assert_within("residual²", out["residual"].square(), distance.square(), 1e-13)
        assert_within("energy", out["energy"], (rebuilt.norm(dim=(-2, -1)) / length(x)).square(), 1e-13)


def test_padded_directions() -> None:
    """Zero directions change nothing: their S₂ is 0 and no active set counts them."""
    x = zoo(9, 12, 10, 3)
    for options in ({}, {"norm": "squared"}):
        wide, narrow = (
            pairwise(z, metrics=ALL_PAIRWISE, p=3.0, solver=Solver(LAMBDAS, **options)) for z in (padded(x, 7), x)
        )
        assert_same_bits(wide.forward, narrow.forward)


def test_a_zero_adapter() -> None:
    x = zoo(5, 9, 10, 4)
    x.S[2] = 0
    for options in ({}, {"norm": "squared"}, ADAM):
        out = pairwise(x, solver=Solver([0.3, 1.5], **options), **ALL)
        assert (out.forward["rec"][:, 2] == 0).all() and not out.forward["spectra"][:, :, 2].any()
        assert not out.forward["d"].isnan().any()
    assert_pairs(pairwise(x, lam=0.3, **ALL), x, p=3.0, lam=0.3)


def test_nan_spoils_its_own_pairs_alone() -> None:
    x = zoo(20, 9, 10, 4)
    for options in ({}, ADAM):
        good = pairwise(x, solver=Solver([0.3, 0.0], **options), **ALL).forward
        before = x.S[7].clone()
        x.S[7, 1] = torch.nan
        out = pairwise(x, solver=Solver([0.3, 0.0], **options), **ALL).forward
        x.S[7] = before
        others = [i for i in range(20) if i != 7]
        kept = torch.tensor(others)
        for name, values in out.items():
            dim = 0 if name == "d" else 1
            one, other = (t.index_select(dim, kept).index_select(dim + 1, kept) for t in (values, good[name]))
            assert_same_bits(one, other)
        assert out["l1"][:, others, 7].isnan().all()


# --- Adam


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("start", ["closed_form", "zeros", "normal"])
def test_adam_against_the_oracle(start: str, norm: str) -> None:
    x, y = zoo(9, 19, 21, 5, dtype=torch.float64), zoo(4, 19, 21, 3, dtype=torch.float64, seed=10)
    seed = torch.arange(9), torch.arange(100, 104)
    options: dict[str, Any] = {"method": "adam", "start": start, "norm": norm, "steps": 10}
    lams = [0.1, 0.4]
    got = pairwise(x, y, solver=Solver(lams, **options), seed=seed, **ALL)
    want = reference.pairwise(x, y, solver=Solver(lams, **options), seed=seed, **ALL)
    for one, other in zip(got, want, strict=True):
        assert one is not None and other is not None
        for name in ("spectra", "l1", "l2", "cosine", "energy"):
            assert_within(name, one[name], other[name], 1e-10 * float(x.S.max() + y.S.max()))


def test_adam_is_that_of_sparsify() -> None:
    """The seed of source→target comes from those of the two; 1,000 steps give the exact solution."""
    x, y = zoo(7, 19, 21, 5, dtype=torch.float64), zoo(4, 19, 21, 3, dtype=torch.float64, seed=10)
    seed = torch.arange(7), torch.arange(100, 104)
    out = pairwise(x, y, solver=Solver(0.2, **ADAM), spectra=True, seed=seed)
    for way, source, target, zoo_of in (
        (out.forward, seed[0], seed[1], y),
        (out.backward, seed[1], seed[0], x),
    ):
        assert way is not None
        pair = seeding.pair_seed(source[:, None], target)
        tau_norm = zoo_of.S.norm(dim=-1).expand(pair.shape)
        S = sparsify(way["d"], tau_norm, 0.2, seed=pair, check=False, **ADAM)
        assert_within("S", way["spectra"], S, 1e-9 * tau_norm[..., None])
    best = pairwise(x, y, lam=0.2, spectra=True).forward["spectra"]
    near = pairwise(x, y, solver=Solver(0.2, "adam", start="normal"), spectra=True).forward["spectra"]
    assert_within("S", near, best, 1e-3 * float(y.S.norm(dim=-1).max()))


def test_seeds_belong_to_adapters(threads: Any) -> None:
    """The pairs of a part of a zoo, with its seeds, are the part of its pairs; tiles and threads change no bit."""
    x = zoo(150, 9, 8, 8)
    seed = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    threads(1)
    whole = pairwise(x, solver=Solver([0.1, 0.3], **ADAM), seed=seed, **ALL).forward
    threads(3)
    assert_same_bits(pairwise(x, solver=Solver([0.1, 0.3], **ADAM), seed=seed, **ALL).forward, whole)
    for part in (list(range(130, 150)), list(range(1, 150, 7)), list(range(50, 150))):
        alone = pairwise(pick(x, part), solver=Solver([0.1, 0.3], **ADAM), seed=seed[part], **ALL).forward
        for name, values in alone.items():
            want = whole[name][part][:, part] if name == "d" else whole[name][:, part][:, :, part]
            assert_same_bits(values, want)
    rest = [i for i in range(150) if i >= 50]
    block = pairwise(
        pick(x, slice(0, 50)), pick(x, rest), solver=Solver(0.3, **ADAM), seed=(seed[:50], seed[50:]), **ALL
    )
    assert_same_bits(block.forward["spectra"], whole["spectra"][1][:50, 50:])
    assert block.backward is not None
    assert_same_bits(block.backward["spectra"], whole["spectra"][1][50:, :50])


def test_an_int_is_a_seed_for_every_adapter() -> None:
    x = zoo(6, 9, 8, 3, batch=(2,))
    one = pairwise(x, solver=Solver(0.3, **ADAM, seed=5), **ALL).forward
    assert_same_bits(one, pairwise(x, solver=Solver(0.3, **ADAM), seed=seeding.seeds(5, (2, 6)), **ALL).forward)
    assert_same_bits(one, pairwise(x, solver=Solver(0.3, **ADAM), seed=seeding.seeds(5, (2, 6)).numpy(), **ALL).forward)
    other = pairwise(x, solver=Solver(0.3, **ADAM, seed=6), **ALL).forward
    assert not torch.equal(one["spectra"], other["spectra"])


def test_numpy_in_numpy_out() -> None:
    x = zoo(5, 9, 8, 3)
    arrays: list[np.ndarray] = [t.numpy().copy() for t in x]
    got = pairwise(LowRankSVD(*arrays), lam=[0.1, 0.5], **ALL).forward
    want: dict[str, Tensor] = pairwise(x, lam=[0.1, 0.5], **ALL).forward
    assert_same_bits({name: torch.from_numpy(t) for name, t in got.items()}, want)
