"""Errors of the public functions for wrong arguments: what was got, and what is expected."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from taskvec_kernels import (
    LowRankSVD,
    Solver,
    compare_spectra,
    lowrank_svd,
    pairwise,
    project,
    project_dense,
    sparsify,
)

from .cases import factors, zoo

b, a = factors(9, 8, 3)
x = zoo(4, 9, 8, 3)
U, S, Vh = (t[0] for t in x)
TAU = torch.tensor(9.0)
SEED = torch.arange(4)
DRAWN = Solver(0.3, "adam", start="normal")


def quantised(t: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to remove them
        return torch.quantize_per_tensor(t, 0.1, 0, torch.qint8)


WRONG: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "list": (
        TypeError,
        "lowrank_svd: b must be a torch.Tensor, a numpy.ndarray or an array that speaks DLPack, got list",
        lambda: lowrank_svd([[1.0]], a),
    ),
    "int": (TypeError, "lowrank_svd: a has dtype torch.int64, expected float64", lambda: lowrank_svd(b, a.long())),
    "complex": (TypeError, "lowrank_svd: b has dtype torch.complex64, expected", lambda: lowrank_svd(b.cfloat(), a)),
    "float8": (TypeError, "lowrank_svd: b has dtype torch.float8", lambda: lowrank_svd(b.to(torch.float8_e4m3fn), a)),
    "strings": (TypeError, "lowrank_svd: b has dtype <U1", lambda: lowrank_svd(np.array([["x"]]), a.numpy())),
    "mixed kinds": (
        TypeError,
        "lowrank_svd: b, a mix NumPy arrays and torch tensors",
        lambda: lowrank_svd(b.numpy(), a),
    ),
    "devices": (
        ValueError,
        "all tensors must be on one device, got b on cpu, a on meta",
        lambda: lowrank_svd(b, a.to("meta")),
    ),
    "sparse": (
        TypeError,
        r"lowrank_svd: b has layout torch.sparse_coo, expected torch.strided; pass b.to_dense\(\)",
        lambda: lowrank_svd(b.to_sparse(), a),
    ),
    "mkldnn": (TypeError, r"b has layout torch._mkldnn.* pass b.to_dense\(\)", lambda: lowrank_svd(b.to_mkldnn(), a)),
    "nested": (
        TypeError,
        r"lowrank_svd: a is a nested tensor; pass a.to_padded_tensor\(0.0\)",
        lambda: lowrank_svd(b, torch.nested.nested_tensor([a, a], layout=torch.jagged)),
    ),
    "quantised": (
        TypeError,
        r"lowrank_svd: b has dtype torch.qint8, .* e.g. b.dequantize\(\)",
        lambda: lowrank_svd(quantised(b), a),
    ),
    "big-endian": (
        TypeError,
        "lowrank_svd: b is not in the byte order of this machine; pass b.astype",
        lambda: lowrank_svd(b.numpy().astype(">f4"), a.numpy()),
    ),
    "masked": (
        TypeError,
        r"lowrank_svd: b is a masked array, and its mask would be lost; pass b.filled\(0.0\)",
        lambda: lowrank_svd(np.ma.masked_less(b.numpy(), 0), a.numpy()),
    ),
    "complex scale": (
        TypeError,
        "scale must be a number or a tensor of numbers, got 2j",
        lambda: lowrank_svd(b, a, 2j),
    ),
    "textual scale": (
        TypeError,
        "project: scale must be a number or a tensor of numbers, got '2'",
        lambda: project(U, Vh, b, a, "2"),
    ),
    "complex tensor of scales": (
        TypeError,
        "lowrank_svd: scale must be real, got torch.complex64",
        lambda: lowrank_svd(b, a, torch.tensor(2j)),
    ),
    "complex λ's": (
        TypeError,
        "sparsify: lam must be real, got torch.complex64",
        lambda: sparsify(S, TAU, torch.tensor([1j])),
    ),
    "sparse λ's": (TypeError, "sparsify: lam has layout", lambda: sparsify(x.S, TAU, torch.ones(4).to_sparse())),
    "vector": (
        ValueError,
        r"lowrank_svd: b \(..., m, r\) and a .* need 2 dimensions, got \[9\]",
        lambda: lowrank_svd(b[:, 0], a),
    ),
    "ranks": (ValueError, r"disagree on r, got \[9, 3\] and \[2, 8\]", lambda: lowrank_svd(b, a[:2])),
    "empty": (ValueError, r"must be at least 1, got \[9, 0\] and \[0, 8\]", lambda: lowrank_svd(b[:, :0], a[:0])),
    "batches": (
        ValueError,
        r"do not broadcast, got b \[2\], a \[3\]",
        lambda: lowrank_svd(b.expand(2, 9, 3), a.expand(3, 3, 8)),
    ),
    "scales": (
        ValueError,
        r"lowrank_svd: scale has shape \[3\], expected a number or \[\]",
        lambda: lowrank_svd(b, a, torch.ones(3)),
    ),
    "scale's device": (
        ValueError,
        "scale is on meta, the factors on cpu",
        lambda: lowrank_svd(b, a, torch.ones(1, device="meta")),
    ),
    "directions": (
        ValueError,
        r"project: U .* disagree on k, got \[9, 3\] and \[2, 8\]",
        lambda: project(U, Vh[:2], b, a),
    ),
    "sizes": (
        ValueError,
        "project: U and Vh are for a 9 × 8 matrix, b·a is 9 × 7",
        lambda: project(U, Vh, b, a[:, :7]),
    ),
    "dense sizes": (ValueError, "are for a 9 × 8 matrix, tau is 8 × 9", lambda: project_dense(U, Vh, (b @ a).T)),
    "lengths": (ValueError, r"compare_spectra: .* same k ≥ 1, got \[3\] and \[2\]", lambda: compare_spectra(S, S[:2])),
    "precision": (
        ValueError,
        "pairwise: precision must be one of highest, high, medium, got 'low'",
        lambda: pairwise(x, precision="low"),
    ),
    "one adapter": (ValueError, r"pairwise: x must hold U \(..., N, m, k\)", lambda: pairwise(LowRankSVD(U, S, Vh))),
    "counts": (ValueError, r"x.U .* is for N = 4, k = 3; got x.S \[3, 3\]", lambda: pairwise(x._replace(S=x.S[:3]))),
    "no adapters": (
        ValueError,
        "x needs at least one adapter and one direction",
        lambda: pairwise(LowRankSVD(*(t[:0] for t in x))),
    ),
    "matrices": (ValueError, "x is of 9 × 8 matrices, y of 7 × 8", lambda: pairwise(x, zoo(2, 7, 8, 3))),
    "unknown metric": (
        ValueError,
        "pairwise: unknown metric 'L1', expected names among l1, l2",
        lambda: pairwise(x, metrics=["L1"]),
    ),
    "entropy of a pair": (ValueError, "pairwise: unknown metric 'entropy'", lambda: pairwise(x, metrics=["entropy"])),
    "cosine of spectra": (
        ValueError,
        "compare_spectra: unknown metric 'cosine'",
        lambda: compare_spectra(S, S, metrics=["cosine"]),
    ),
    "a string": (
        ValueError,
        r"metrics must be a sequence of names, got the string 'rec'; use \['rec'\]",
        lambda: pairwise(x, metrics="rec"),
    ),
    "twice": (ValueError, "metrics has a name twice, got rec, rec", lambda: pairwise(x, metrics=["rec", "rec"])),
    "no p": (ValueError, "metric 'lp' needs p > 0, got p=None", lambda: pairwise(x, metrics=["lp"])),
    "negative p": (
        ValueError,
        "metric 'lp' needs p > 0, got p=-1",
        lambda: compare_spectra(S, S, metrics=["lp"], p=-1),
    ),
    "nan p": (
        ValueError,
        "metric 'lp' needs p > 0, got p=nan",
        lambda: compare_spectra(S, S, metrics=["lp"], p=float("nan")),
    ),
    "no directions of d": (
        ValueError,
        r"sparsify: d must be \(..., r\) with r ≥ 1, got \[0\]",
        lambda: sparsify(S[:0], TAU, 0.3),
    ),
    "d is a number": (
        ValueError,
        r"sparsify: d must be \(..., r\) with r ≥ 1, got \[\]",
        lambda: sparsify(TAU, TAU, 0.3),
    ),
    "tau_norm is a number": (
        TypeError,
        "sparsify: tau_norm must be a torch.Tensor, a numpy.ndarray or .*, got float",
        lambda: sparsify(S, 9.0, 0.3),
    ),
    "batches of d": (
        ValueError,
        r"sparsify: leading .* do not broadcast, got d \[4\], tau_norm \[3\]",
        lambda: sparsify(x.S, TAU.expand(3), 0.3),
    ),
    "batches of λ": (
        ValueError,
        r"sparsify: leading .* got lam \[2, 3\], d and tau_norm \[4\]",
        lambda: sparsify(x.S, TAU.expand(4), torch.ones(2, 3)),
    ),
    "negative λ": (ValueError, "^λ must be a finite number ≥ 0, got -1", lambda: sparsify(S, TAU, -1.0)),
    "nan λ": (ValueError, "^λ must be a finite number ≥ 0, got nan", lambda: sparsify(S, TAU, float("nan"))),
    "infinite λ of several": (
        ValueError,
        "^λ must be a finite number ≥ 0, got inf",
        lambda: sparsify(S, TAU, [0.1, float("inf")]),
    ),
    "λ's of a tensor": (
        ValueError,
        "sparsify: λ must be a finite number ≥ 0, got -2",
        lambda: sparsify(x.S, TAU.expand(4), torch.tensor([0.1, -2, 0.3, 0.4])),
    ),
    "nan λ of a tensor": (
        ValueError,
        "sparsify: λ must be a finite number ≥ 0, got nan",
        lambda: sparsify(S, TAU, torch.tensor(torch.nan)),
    ),
    "no λ": (ValueError, "^λ is an empty list; give at least one", lambda: sparsify(S, TAU, [])),
    "tau_norm below d": (
        ValueError,
        r"tau_norm is below ‖d‖ for the pair at \[2\]: got 1, ‖d‖ is \d.*whole target",
        lambda: sparsify(x.S, torch.tensor([9.0, 9, 1, 9]), 0.3),
    ),
    "negative tau_norm": (
        ValueError,
        r"tau_norm is below ‖d‖: got -9",
        lambda: sparsify(S, -TAU, 0.3),
    ),
    "method": (
        ValueError,
        "^method must be one of exact, adam, got 'sgd'",
        lambda: sparsify(S, TAU, 0.3, method="sgd"),
    ),
    "norm": (
        ValueError,
        "^norm must be one of frobenius, squared, got 'l1'",
        lambda: pairwise(x, solver=Solver(0.3, norm="l1")),
    ),
    "positive": (
        ValueError,
        "^positive must be one of clip, softplus, exp, abs, got 'square'",
        lambda: sparsify(S, TAU, 0.3, method="adam", positive="square"),
    ),
    "positive without Adam": (
        ValueError,
        "^positive is a setting of method 'adam'; the method is 'exact'",
        lambda: sparsify(S, TAU, 0.3, positive="exp"),
    ),
    "start": (
        ValueError,
        "start must be one of closed_form, zeros, normal, got 'ones'",
        lambda: sparsify(S, TAU, 0.3, method="adam", start="ones"),
    ),
    "units": (
        ValueError,
        "units must be one of tau, paper, got 'none'",
        lambda: sparsify(S, TAU, 0.3, method="adam", units="none"),
    ),
    "schedule": (
        ValueError,
        "schedule must be one of linear, constant, got 'cosine'",
        lambda: sparsify(S, TAU, 0.3, method="adam", schedule="cosine"),
    ),
    "lr": (ValueError, "^lr must be a number > 0, got 0", lambda: sparsify(S, TAU, 0.3, method="adam", lr=0)),
    "eps": (
        ValueError,
        "^eps must be a number > 0, got inf",
        lambda: sparsify(S, TAU, 0.3, method="adam", eps=float("inf")),
    ),
    "betas": (
        ValueError,
        r"^betas must lie in \[0, 1\), got \(0.9, 1.0\)",
        lambda: sparsify(S, TAU, 0.3, method="adam", betas=(0.9, 1.0)),
    ),
    "tol": (
        ValueError,
        "^tol must be a number ≥ 0, got -1",
        lambda: sparsify(S, TAU, 0.3, method="adam", tol=-1),
    ),
    "steps": (
        ValueError,
        "^steps must be a whole number from 1 to 16777216, got 0",
        lambda: sparsify(S, TAU, 0.3, method="adam", steps=0),
    ),
    "steps of a fraction": (
        TypeError,
        "^steps must be a whole number, got 2.5",
        lambda: Solver(0.3, "adam", steps=2.5),  # type: ignore[arg-type]
    ),
    "a setting of another method": (
        ValueError,
        "^lr is a setting of method 'adam'; the method is 'exact'",
        lambda: sparsify(S, TAU, 0.3, lr=0.2),
    ),
    "an unknown setting": (
        TypeError,
        "unexpected keyword argument 'momentum'",
        lambda: sparsify(S, TAU, 0.3, method="adam", momentum=0.9),
    ),
    "a float seed": (
        TypeError,
        "sparsify: seed must be an int or an int64 tensor, got torch.float32",
        lambda: sparsify(S, TAU, 0.3, method="adam", start="normal", seed=TAU),
    ),
    "a list of seeds": (
        TypeError,
        "sparsify: seed must be an int or an int64 tensor, got list",
        lambda: sparsify(S, TAU, 0.3, method="adam", start="normal", seed=[1]),
    ),
    "seeds of another shape": (
        ValueError,
        r"sparsify: seed has shape \[3\], expected an int or one a pair, \[4\]",
        lambda: sparsify(x.S, TAU, 0.3, method="adam", start="normal", seed=SEED[:3]),
    ),
    "λ of pairs": (
        TypeError,
        r"^λ must be a number or a sequence of numbers, got \[1.0, 1.0",
        lambda: pairwise(x, lam=torch.ones(4, 4)),
    ),
    "λ of a zoo": (ValueError, "^λ must be a finite number ≥ 0, got -1", lambda: pairwise(x, lam=[0.1, -1])),
    "no λ of a zoo": (ValueError, "^λ is an empty list", lambda: pairwise(x, lam=[])),
    "λ and a solver": (ValueError, "pairwise: give lam or a solver", lambda: pairwise(x, lam=0.3, solver=DRAWN)),
    "λ and a solver for d": (
        ValueError,
        "sparsify: give lam and its settings, or a solver",
        lambda: sparsify(S, TAU, 0.3, solver=DRAWN),
    ),
    "a solver and its settings": (
        ValueError,
        "sparsify: give lam and its settings, or a solver",
        lambda: sparsify(S, TAU, solver=DRAWN, lr=0.2),
    ),
    "no λ for d": (ValueError, "sparsify: give lam and its settings, or a solver", lambda: sparsify(S, TAU)),
    "a word for λ": (TypeError, "^λ must be a number or a sequence of numbers, got 'much'", lambda: Solver("much")),
    "a word for a number": (TypeError, "^lr must be a number, got '1'", lambda: Solver(0.3, "adam", lr="1")),
    "three betas": (TypeError, "^betas must be two numbers", lambda: Solver(0.3, "adam", betas=(0.9, 0.9, 0.9))),
    "seeds of a zoo": (
        ValueError,
        "pairwise: seed must be of shape .*4.*, got .*3",
        lambda: pairwise(x, solver=DRAWN, seed=SEED[:3]),
    ),
    "seeds of one of two": (
        ValueError,
        "pairwise: seed must be one tensor for x and one for y, got 1",
        lambda: pairwise(x, x, solver=DRAWN, seed=SEED),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case: str) -> None:
    error, message, call = WRONG[case]
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_values_are_not_looked_at_unless_asked_for() -> None:
    for wrong in ({"tau_norm": torch.tensor(0.1)}, {"lam": torch.tensor(-1.0)}):
        given = {"tau_norm": TAU, "lam": 0.3} | wrong
        assert sparsify(S, **given, check=False).shape == S.shape
        for check in (None, True):
            with pytest.raises(ValueError, match=r"sparsify: (tau_norm|λ)"):
                sparsify(S, **given, check=check)


def test_rounding_is_no_error() -> None:
    norm = S.double().norm().float()
    for below in (norm, norm * (1 - 1e-6)):
        sparsify(S, below, 0.3)
    with pytest.raises(ValueError, match="below"):
        sparsify(S, norm * (1 - 1e-5), 0.3)
