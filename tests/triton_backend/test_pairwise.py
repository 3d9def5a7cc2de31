"""``pairwise`` of the Triton backend against the fp64 oracle, at the bounds of docs/NUMERICS.md."""

from __future__ import annotations

import math

import pytest
import torch

from taskvec_kernels import LowRankSVD, Pairwise, Solver, lowrank_svd, pairwise
from taskvec_kernels.backends.triton import pairs as launcher
from taskvec_kernels.backends.triton.launch import Machine, Strided
from tests.kernels import bounds
from tests.kernels.cases import DTYPES, WITHOUT_CHANCE, joined, name_of, padded, zoo
from tests.kernels.compare import assert_pairs, assert_same_bits, output_dtype

PRECISIONS = ("highest", "high", "medium")


def compute(x: LowRankSVD, y: LowRankSVD | None = None, **options: object) -> Pairwise:
    given = {"metrics": WITHOUT_CHANCE, "spectra": True, "p": 3.0} | options
    return pairwise(x, y, backend="triton", **given)  # type: ignore[arg-type]


def check(x: LowRankSVD, y: LowRankSVD | None = None, precision: str = "highest", p: float = 3.0) -> Pairwise:
    out = compute(x, y, precision=precision, p=p)
    length = max(x.U.shape[-2], x.Vh.shape[-1])
    assert_pairs(out, x, y, p=p, eps=bounds.triton_projection(output_dtype(*x), precision, length))
    return out


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (3, 7, 3, 2), (13, 9, 8, 5), (9, 70, 66, 8), (11, 20, 130, 17)], ids=name_of
)
def test_shapes(shape: tuple[int, int, int, int]) -> None:
    for precision in PRECISIONS if shape[2] < 100 else ("highest",):
        check(zoo(*shape), precision=precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_tiles_of_an_h200(precision: str) -> None:
    """Two row tiles and two column tiles, both partial, and several runs of columns."""
    check(zoo(18, 300, 70, 16), precision=precision)


@pytest.mark.parametrize("shape", [(3, 70, 66, 64), (2, 140, 150, 129)], ids=name_of)
def test_large_ranks(shape: tuple[int, int, int, int]) -> None:
    """Rank 129: blocks of 128 directions, whose parts of d are added."""
    check(zoo(*shape), precision="medium")


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_dtypes(dtype: torch.dtype) -> None:
    check(zoo(7, 33, 20, 6, dtype=dtype), zoo(3, 33, 20, 6, dtype=dtype, seed=10))


def test_the_tiles_of_fp64() -> None:
    check(zoo(9, 20, 33, 16, dtype=torch.float64))


def test_no_fp64_where_it_does_not_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "machine", lambda device: Machine((10, 0), 2, 0))
    with pytest.raises(ValueError, match=r"no fp64 on a GPU of compute capability 10.0; pass float32, or backend="):
        compute(zoo(2, 5, 4, 2, dtype=torch.float64))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 4, 9, 2), (5, 20, 3, 8), (12, 3, 7, 9)], ids=name_of)
def test_x_against_y(shape: tuple[int, int, int, int]) -> None:
    """Unequal ranks: (N, k_x) against (M, k_y)."""
    N, kx, M, ky = shape
    m, n = max(kx, ky) + 2, max(kx, ky) + 5
    check(zoo(N, m, n, kx), zoo(M, m, n, ky, seed=10))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("batch", [(3,), (2, 2), (0,)], ids=name_of)
def test_several_modules_in_one_launch(batch: tuple[int, ...]) -> None:
    x, y = zoo(9, 12, 10, 3, batch=batch), zoo(4, 12, 10, 2, batch=batch, seed=10)
    check(x)
    check(x, y)


@pytest.mark.usefixtures("small_tiles")
def test_without_tma(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "machine", lambda device: Machine((8, 0), 2, 0))
    for precision in ("highest", "medium"):
        check(zoo(9, 70, 20, 5), precision=precision)
    check(zoo(5, 20, 30, 4), zoo(6, 20, 30, 9, seed=10))


@pytest.mark.usefixtures("small_tiles")
def test_panels_within_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace too small for all: the same results in pieces, and the same bits each time."""
    x, y = zoo(14, 20, 18, 5, batch=(2,)), zoo(5, 20, 18, 3, batch=(2,), seed=10)
    whole = check(x, precision="medium")
    monkeypatch.setattr(launcher, "LEAST", 1)
    monkeypatch.setattr(launcher, "room", lambda free: 40_000)
    cuts: list[object] = []
    plan = launcher.plan
    monkeypatch.setattr(launcher, "plan", lambda *a: cuts.append(plan(*a)) or cuts[-1])
    pieces = check(x, precision="medium")
    assert cuts[0].sources < 14 and cuts[0].modules == 1  # type: ignore[attr-defined]
    assert_same_bits(compute(x, precision="medium").forward, pieces.forward)
    assert (pieces.forward["d"] - whole.forward["d"]).abs().max() < 1e-5
    check(x, y)


@pytest.mark.usefixtures("small_tiles")
def test_out_of_memory_halves_the_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    x = zoo(9, 12, 10, 3)
    asked: list[int] = []
    make = launcher.Workspace.of.__func__  # type: ignore[attr-defined]

    def scarce(cls: type, call: object, p: object) -> object:
        made = make(cls, call, p)
        asked.append(sum(t.nbytes for t in (made.x, made.y, made.d, made.back, made.scratch)))
        if asked[-1] > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.")
        return made

    monkeypatch.setattr(launcher.Workspace, "of", classmethod(scarce))
    monkeypatch.setattr(launcher, "LEAST", 1)
    monkeypatch.setattr(launcher, "room", lambda free: 2**20)
    limit = 100_000
    check(x)
    assert len(asked) > 1 and asked[-1] <= limit < asked[0]
    limit = 1
    with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate 1 GiB.*not even one adapter against one fits"):
        compute(x)


@pytest.mark.usefixtures("small_tiles")
def test_zero_adapters_and_padding() -> None:
    x = zoo(6, 9, 10, 4)
    both = joined(x, lowrank_svd(torch.zeros(1, 9, 4), torch.ones(1, 4, 10)))
    out = check(both).forward
    assert (out["rec"][6] == 0).all() and (out["rec"][:, 6] == 0).all() and out["cosine"][6].isnan().all()
    check(padded(x, 11))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("solver", [Solver(), Solver([0.0, 0.2]), Solver(0.2, "adam", steps=6)], ids=str)
def test_updates_that_are_longer_than_their_spectra(solver: Solver) -> None:
    """``norm``: the CPU's results, and those of ‖S‖ where nothing was told."""
    x, y = zoo(6, 40, 33, 5), zoo(3, 40, 33, 3, seed=10)
    norms = tuple(side.S.double().norm(dim=-1) * (1.5 + torch.arange(len(side.S))) for side in (x, y))
    for other, norm in ((None, norms[0]), (y, norms)):
        options = {"metrics": WITHOUT_CHANCE, "spectra": True, "p": 3.0, "solver": solver, "norm": norm}
        got = pairwise(x, other, backend="triton", **options)  # type: ignore[arg-type]
        want = pairwise(x, other, backend="cpu", **options)  # type: ignore[arg-type]
        for way, expected in zip(got, want, strict=True):
            for name, value in (expected or {}).items():
                torch.testing.assert_close(way[name], value, rtol=1e-4, atol=1e-4, equal_nan=True, msg=name)
    told = pairwise(x, norm=x.S.double().norm(dim=-1), metrics=WITHOUT_CHANCE, p=3.0, backend="triton")
    assert_same_bits(told.forward, pairwise(x, metrics=WITHOUT_CHANCE, p=3.0, backend="triton").forward)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("part", ["U", "S", "Vh"])
def test_not_finite_spoils_its_own_pairs_alone(part: str) -> None:
    good = compute(zoo(9, 9, 10, 4)).forward
    for bad in (math.nan, math.inf):
        x = zoo(9, 9, 10, 4)
        getattr(x, part)[7][..., 1] = bad
        out = compute(x).forward
        others = [i for i in range(9) if i != 7]
        for name, values in out.items():
            assert_same_bits(values[others][:, others], good[name][others][:, others])
        assert not out["d"][others, 7].isfinite().any()
        if math.isnan(bad):
            for name in ("l1", "l2", "linf", "lp", "rec", "cosine"):
                assert out[name][others, 7].isnan().all() and out[name][7, others].isnan().all(), name


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("p", [0.5, 1.0, 64.0, math.inf])
def test_powers(p: float) -> None:
    check(zoo(4, 12, 10, 6), p=p)


@pytest.mark.usefixtures("small_tiles")
def test_any_strides() -> None:
    x = zoo(5, 12, 10, 3)
    strided = LowRankSVD(x.U.contiguous(), x.S.mT.contiguous().mT, x.Vh.mT.contiguous().mT)
    assert_same_bits(compute(strided).forward, compute(x).forward)


@pytest.mark.usefixtures("small_tiles")
def test_offsets_beyond_32_bits() -> None:
    """Adapters more than 2³¹ elements apart, in memory that is reserved but not touched."""
    x = zoo(2, 12, 10, 3)
    memory = torch.empty(2**31 + 100, dtype=torch.float16)
    U = memory.as_strided((2, 12, 3), (2**31, 1, 12))
    U.copy_(x.U)
    far = LowRankSVD(U, x.S.half(), x.Vh.half())
    near = LowRankSVD(x.U.half(), *far[1:])
    assert U.stride(0) > 2**31 - 1 and Strided.of(far.U.mT, 3).strides[0] == 2**31
    assert_same_bits(compute(far).forward, compute(near).forward)


def truncated(x: torch.Tensor) -> torch.Tensor:
    """To 24 bits towards zero."""
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp(torch.trunc(mantissa * 2.0**24), exponent - 24)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("length", [4096, 14336])
def test_bounds_hold_for_sums_that_truncate(precision: str, length: int) -> None:
    """A model of what the interpreter cannot show: tensor cores that truncate once in 16 positions, on unit vectors."""
    g = torch.Generator().manual_seed(length)
    u = torch.randn(64, length, generator=g, dtype=torch.float64)
    u = (u / u.norm(dim=1, keepdim=True)).float()
    scale = launcher.power_of_two(length, 1 if precision == "medium" else 3)
    hi = (u * scale).half()
    lo = (u * scale - hi.float()).half()
    terms = [(hi, hi)] if precision == "medium" else [(lo, hi), (hi, lo), (hi, hi)]
    run = 256 if precision == "highest" else length
    total = torch.zeros(64)
    for start in range(0, length, run):
        sums = torch.zeros(64, dtype=torch.float64)
        for a, b in terms:
            products = a[:, start : start + run].double() * b[:, start : start + run].double()
            for step in products.unflatten(1, (-1, 16)).sum(-1).unbind(1):
                sums = truncated(sums + step)
        total += sums.float()
    error = (total.double() / scale**2 - u.double().square().sum(1)).abs().max()
    assert 2 * error <= bounds.triton_projection(torch.float32, precision, length)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("k", [1, 4, 12])
def test_the_chance(k: int) -> None:
    """Apart from the rest, as it takes 2^k or 512 steps: both ways, of mixed ranks, NaN where S₂ is not max(0, d)."""
    chance = ["rec_chance", "rec_chance_sd"]
    x, y = zoo(3, 16, 15, k), padded(zoo(2, 16, 15, 2, seed=10), 5)
    eps = bounds.triton_projection(torch.float32, "highest", 16)
    assert_pairs(compute(x, metrics=chance), x, eps=eps)
    if k < 12:
        assert_pairs(compute(x, y, metrics=chance), x, y, eps=eps)
        assert compute(x, metrics=chance, solver=Solver([0.0, 0.2])).forward["rec_chance"][1].isnan().all()
