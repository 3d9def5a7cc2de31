"""Products by slices of 8 bits, on the tiles of AMX or, with TASKVEC_AMX=emulated, on emulated ones.

Without either, ``test_emulated`` runs this file, and tests of ``pairwise``, in a process that emulates.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from taskvec_kernels import _C, LowRankSVD, backend_report, explain, pairwise, reference, simd_level

from ..helpers.fresh import python
from . import bounds
from .cases import joined, name_of, pick, random, zoo
from .compare import assert_same_bits, assert_within

HERE = Path(__file__).parent
LARGEST = {"highest": 8355711.0, "medium": 32639.0}
emulates = os.environ.get("TASKVEC_AMX") == "emulated"
sliced = pytest.mark.skipif(not emulates and simd_level() != "amx", reason="no AMX; test_emulated runs it")
PRECISIONS = pytest.mark.parametrize("precision", ["highest", "medium"])


@pytest.mark.slow
@pytest.mark.skipif(emulates, reason="this process emulates")
def test_emulated() -> None:
    files = [str(HERE / name) for name in ("test_slices.py", "test_pairwise_precision.py", "test_pairwise_edges.py")]
    options = ["-q", "-x", "-p", "no:cacheprovider", "-k", "not reference"]
    run = python("-m", "pytest", *options, *files, TASKVEC_AMX="emulated")
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert int(run.stdout.split(" passed")[0].split()[-1]) > 80, run.stdout[-200:]


def test_why_not() -> None:
    """Said where the level is missing; the variable takes one word."""
    missing = _C.why_not_amx()
    assert bool(missing) == ("amx" not in _C.available_simd_levels().split())
    cpu = next(backend["reason"] for backend in backend_report() if backend["name"] == "cpu")  # as `taskvec env` has it
    assert cpu.endswith(f" (not amx: {missing})" if missing else " amx")
    assert cpu in str(explain(pairwise, zoo(2, 9, 8, 2)))
    run = python("-c", "import taskvec_kernels as tk; print(tk.simd_level())", TASKVEC_AMX="yes")
    assert run.returncode != 0 and "TASKVEC_AMX is 'yes', expected: emulated" in run.stderr


@sliced
def test_the_routes() -> None:
    x = zoo(20, 520, 512, 8)
    for precision, route in (("highest", "3 slices"), ("high", "2 slices"), ("medium", "2 slices")):
        assert explain(pairwise, x, precision=precision, backend="cpu").route == (route, route)
    wide = LowRankSVD(*(t.double() for t in x))
    assert explain(pairwise, wide, backend="cpu").route == ("panels", "panels")


def digits(rows: np.ndarray, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """Slices of every entry, most significant first, and the power of two that they are times."""
    count, largest = (3 if precision == "highest" else 2), LARGEST[precision]
    peak = np.abs(rows).max(-1, keepdims=True).astype(np.float64)
    up = 2.0 ** (8 * count - 1 - np.frexp(peak)[1])
    up = np.where(peak * up > largest, up / 2, up)
    scaled = rows.astype(np.float64) * up
    left = np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int64)
    found = []
    for _ in range(count):
        digit = (left + 128) % 256 - 128
        found.append(digit)
        left = (left - digit) // 256
    return np.stack(found[::-1]), 256.0 ** (count - 1) / up


def gram(rows: np.ndarray, precision: str) -> np.ndarray:
    """What docs/NUMERICS.md says of slices, in integers and one rounding at a time."""
    sliced, unit = digits(rows, precision)
    count, run = len(sliced), 512
    total: np.ndarray | None = None
    for first in range(0, rows.shape[-1], run):
        part = sliced[..., first : first + run]
        sums = np.zeros((count + 1, len(rows), len(rows)), np.int64)
        for s in range(count):
            for t in range(count):
                if s + t <= count:
                    sums[s + t] += part[s] @ part[t].T
        value = sums[count].astype(np.float32)
        for weight in range(count - 1, -1, -1):
            value = (value * np.float64(2.0**-8) + sums[weight].astype(np.float32)).astype(np.float32)
        total = value if total is None else total + value
    assert total is not None
    return (total * unit * unit.T).astype(np.float32)


@sliced
@PRECISIONS
@pytest.mark.parametrize("length", [512, 1100])
def test_the_very_bits(precision: str, length: int) -> None:
    """Nothing but the two directions decides: adapters of one direction, V of one position, so that d is the Gram."""
    rows = torch.nn.functional.normalize(random(150, length) * random(150, 1, seed=1).exp(), dim=-1).float()
    V = torch.zeros(150, 1, 512)
    V[..., 7] = 1
    x = LowRankSVD(rows[:, :, None], torch.ones(150, 1), V)
    d = pairwise(x, spectra=True, precision=precision).forward["d"][..., 0]
    assert_same_bits(d, torch.from_numpy(gram(rows.numpy(), precision)))


def hard(kind: str, adapters: int, k: int, length: int) -> Tensor:
    """Directions (adapters, k, length) whose roundings agree, or of which a few entries hold most."""
    x = random(adapters, k, length, seed=5)
    if kind == "constant":
        x[:, 0] = 1
    elif kind == "spike":
        x[:, 0] = 0.6 / math.sqrt(length)
        x[:, 0, 0] = 0.8
    elif kind == "decay":
        x *= 2.0 ** (-torch.arange(length) / (length / 20))
    elif kind == "sparse":
        x *= (random(adapters, k, length, seed=6) > 2.3) + 1e-9
    elif kind == "outliers":
        x[:, :, 3:5] *= 1000
    elif kind == "duplicates":
        x = x[:1] + 1e-3 * x
    return torch.linalg.qr(x.mT).Q.mT.float().contiguous()


@sliced
@PRECISIONS
@pytest.mark.parametrize("kind", ["random", "constant", "spike", "decay", "sparse", "outliers", "duplicates"])
def test_hard_inputs(kind: str, precision: str) -> None:
    N, k, length = 17, 8, 600
    U, V = hard(kind, N, k, length), hard("random" if kind == "sparse" else kind, N, k, length)
    S = random(N, k, seed=3).abs().sort(-1, descending=True).values.float()
    x = LowRankSVD(U.mT, S, V)
    got, want = (pairwise(x, spectra=True, precision=precision, backend=b).forward["d"] for b in ("cpu", "reference"))
    peak = float(max(U.abs().max(), V.abs().max()))
    size = S.double().norm(dim=-1)[None, :, None]
    assert_within("d", got, want.double(), bounds.sliced_projection(precision, length, peak) * size)
    if kind not in ("constant", "spike"):  # the others' roundings do not agree
        usual = bounds.PROJECTION["highest" if precision == "highest" else "high"]
        assert_within("d", got, want.double(), usual * size)


@sliced
@PRECISIONS
def test_long_directions(precision: str) -> None:
    """One large entry of many: beyond what is promised of slices, such a direction is multiplied where it lies."""
    length = 8200
    rows = torch.full((9, 16, length), 0.4 / math.sqrt(length), dtype=torch.float64)
    rows += 0.1 * random(9, 16, length) / math.sqrt(length)
    rows[0, 3, 5] = 0.9
    rows = torch.nn.functional.normalize(rows, dim=-1).float()
    x = LowRankSVD(rows.mT, torch.ones(9, 16), zoo(9, 512, 512, 16).Vh)
    got, want = (pairwise(x, spectra=True, precision=precision, backend=b).forward["d"] for b in ("cpu", "reference"))
    peak = min(64 / math.sqrt(length), float(rows.abs().max()))
    usual = max(bounds.sliced_projection(precision, length, peak), bounds.aligned_projection(rows.dtype, length))
    assert_within("d", got, want.double(), 4 * usual)  # ‖S‖ is 4
    assert bounds.sliced_projection("medium", 1 << 16, 0.25) < bounds.PROJECTION["medium"]


@sliced
@PRECISIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=name_of)
def test_bits_do_not_depend_on_the_rest(precision: str, dtype: torch.dtype) -> None:
    """Not on threads, blocks, batches, order or neighbours, of which one is not finite and one is too long."""
    x = zoo(43, 700, 512, 8, dtype=dtype)
    names = ("l1", "captured", "d")

    def compute(x: LowRankSVD, y: LowRankSVD | None = None) -> dict[str, Tensor]:
        found = pairwise(x, y, metrics=("l1", "captured"), spectra=True, precision=precision).forward
        return {name: found[name] for name in names}

    whole = compute(x)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    assert_same_bits(compute(x), whole)
    torch.set_num_threads(before)
    first, rest = slice(0, 20), slice(20, 43)
    assert_same_bits(compute(pick(x, first)), {name: t[first, first].contiguous() for name, t in whole.items()})
    assert_same_bits(compute(pick(x, first), pick(x, rest)), {n: t[first, rest].contiguous() for n, t in whole.items()})
    back = compute(pick(x, list(range(42, -1, -1))))
    assert_same_bits({name: t.flip(0, 1) for name, t in back.items()}, whole)
    batch = compute(LowRankSVD(*(torch.stack([t, t]) for t in x)))
    assert_same_bits({name: t[1].contiguous() for name, t in batch.items()}, whole)
    spoilt = joined(x, pick(x, [0, 1]))
    spoilt.U[43, 9, 2], spoilt.Vh[44, 3, 4] = math.nan, 300.0
    found = compute(spoilt)
    assert_same_bits({name: t[:43, :43].contiguous() for name, t in found.items()}, whole)
    assert found["d"][0, 43].isnan().any() and not found["d"][0, 44].isnan().any()
    want = reference.pairwise(pick(spoilt, [0, 44]), spectra=True).forward["d"]
    assert_within(
        "d",
        found["d"][:, 44][[0, 44]],
        want[:, 1],
        300 * bounds.PROJECTION["medium"] * float(x.S.double().norm(dim=-1).max()),
    )
