"""``out=``: the same bits in memory that the caller gives, of every function and backend, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._pytree import tree_leaves, tree_map_only

import taskvec_kernels as tk
from taskvec_kernels import LowRankSVD, Pairwise, SparseInfo
from taskvec_kernels.dispatch import outputs
from taskvec_kernels.metrics import PAIRWISE, SPECTRAL

from .cases import factors, zoo
from .compare import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own, in forward mode

b, a = factors(9, 8, 3, batch=(2, 2))
x, y = zoo(4, 9, 8, 3), zoo(2, 9, 8, 2, seed=10)
U, S, Vh = (t.unflatten(0, (2, 2)) for t in x)
tau_norm = 9 * torch.ones(2, 2)

CALLS: dict[str, Callable[..., Any]] = {
    "lowrank_svd": lambda **o: tk.lowrank_svd(b, a, 0.5, **o),
    "lowrank_svd of one": lambda **o: tk.lowrank_svd(b[0, 0].double(), a[0, 0].double(), **o),
    "lowrank_svd of none": lambda **o: tk.lowrank_svd(b[:0], a[:0], **o),
    "project": lambda **o: tk.project(U, Vh, b, a, **o),
    "project_dense": lambda **o: tk.project_dense(U, Vh, b @ a, clip=False, **o),
    "compare_spectra": lambda **o: tk.compare_spectra(S, S.flip(-1), metrics=SPECTRAL, p=3.0, **o),
    "sparsify": lambda **o: tk.sparsify(S, tau_norm, 0.3, **o),
    "sparsify of several λ's, with info": lambda **o: tk.sparsify(S, tau_norm, [0.1, 0.3], return_info=True, **o),
    "sparsify by Adam, with info": lambda **o: tk.sparsify(
        S, tau_norm, 0.3, method="adam", start="normal", steps=3, return_info=True, **o
    ),
    "pairwise": lambda **o: tk.pairwise(x, metrics=PAIRWISE, p=3.0, **o),
    "pairwise of two": lambda **o: tk.pairwise(x, y, spectra=True, **o),
    "pairwise of several λ's": lambda **o: tk.pairwise(x, y, lam=[0.0, 0.2], spectra=True, **o),
}
BACKENDS = ["cpu", "reference"]


def empty_like(result: Any) -> Any:
    """Memory for a result, laid out as it is, full of what it is not."""
    return tree_map_only(Tensor, lambda t: torch.full_like(t, 7), result)


def tensors_of(result: Any) -> list[Tensor]:
    return [t for t in tree_leaves(result) if isinstance(t, Tensor)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CALLS)
def test_the_same_bits(name: str, backend: str) -> None:
    call = CALLS[name]
    want = call(backend=backend)
    out = empty_like(want)
    assert call(backend=backend, out=out) is out
    assert_same_bits(out, want)


@pytest.mark.parametrize("name", CALLS)
def test_nothing_of_its_size_is_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core writes to the memory given, and to no other."""
    out = empty_like(CALLS[name](backend="cpu"))
    own = {t.data_ptr() for t in tensors_of(out)}
    before = [t.clone() for t in tensors_of(out)]
    made: list[Tensor] = []
    empty = torch.empty

    def watched(*size: Any, **options: Any) -> Tensor:
        made.append(empty(*size, **options))
        return made[-1]

    monkeypatch.setattr(torch, "empty", watched)
    CALLS[name](backend="cpu", out=out)
    assert own == {t.data_ptr() for t in tensors_of(out)}
    assert all(not t.numel() for t in made)
    assert not before[0].numel() or not torch.equal(before[0], tensors_of(out)[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_matrices_with_room_between_them(backend: str) -> None:
    """U, S and V of each matrix next to each other in one buffer, and one number that nobody writes."""
    want = tk.lowrank_svd(b.flatten(0, 1), a.flatten(0, 1), backend=backend)
    row = 27 + 3 + 24 + 1
    memory = torch.full((4, row), torch.nan)
    parts = memory[:, :27].view(4, 3, 9).mT, memory[:, 27:30], memory[:, 30:54].view(4, 3, 8)
    tk.lowrank_svd(b.flatten(0, 1), a.flatten(0, 1), backend=backend, out=LowRankSVD(*parts))
    assert_same_bits(parts, tuple(want))
    assert memory.isnan().sum() == 4 and memory[:, -1].isnan().all()


def test_leading_directions_of_wider_matrices() -> None:
    """As a batch of mixed ranks needs them: k of the K directions that there is room for."""
    wide = LowRankSVD(torch.zeros(4, 5, 9).mT, torch.zeros(4, 5), torch.zeros(4, 5, 8))
    tk.lowrank_svd(b.flatten(0, 1), a.flatten(0, 1), out=LowRankSVD(wide.U[..., :3], wide.S[:, :3], wide.Vh[:, :3]))
    want = tk.lowrank_svd(b.flatten(0, 1), a.flatten(0, 1))
    assert_same_bits((wide.U[..., :3], wide.S[:, :3], wide.Vh[:, :3]), tuple(want))
    assert not wide.U[..., 3:].any() and not wide.S[:, 3:].any() and not wide.Vh[:, 3:].any()


def test_streamed_outputs_that_are_not_aligned() -> None:
    """Outputs of more than 16 MiB bypass the caches, where their address allows it."""
    left, right = factors(700, 600, 8, batch=(410,))
    want = tk.lowrank_svd(left, right)
    memory = torch.empty(410 * 8 * 1300 + 410 * 8 + 1)[1:]
    u, v, s = memory.split([410 * 8 * 700, 410 * 8 * 600, 410 * 8])
    out = LowRankSVD(u.view(410, 8, 700).mT, s.view(410, 8), v.view(410, 8, 600))
    assert_same_bits(tuple(tk.lowrank_svd(left, right, out=out)), tuple(want))


def test_arrays() -> None:
    arrays = [t.numpy() for t in (b, a)]
    want = tk.lowrank_svd(*arrays)
    out = LowRankSVD(np.empty((2, 2, 3, 9), np.float32).swapaxes(-1, -2), np.empty_like(want.S), np.empty_like(want.Vh))
    assert tk.lowrank_svd(*arrays, out=out) is out
    assert all(np.array_equal(got, value) for got, value in zip(out, want, strict=True))


def svd(**parts: Tensor) -> LowRankSVD:
    whole = {"U": torch.empty(2, 2, 3, 9).mT, "S": torch.empty(2, 2, 3), "Vh": torch.empty(2, 2, 3, 8)}
    return LowRankSVD(**{**whole, **parts})


def lowrank(**parts: Tensor) -> Callable[[], Any]:
    return lambda: tk.lowrank_svd(b, a, out=svd(**parts))


def project(out: Any) -> Callable[[], Any]:
    return lambda: tk.project(U, Vh, b, a, out=out)


def pairs(forward: Any, backward: Any = None, **options: Any) -> Callable[[], Any]:
    return lambda: tk.pairwise(x, metrics=["rec", "l1"], out=Pairwise(forward, backward), **options)


room = torch.empty(6, 9)
read_only = np.empty((2, 2, 3), np.float32)
read_only.flags.writeable = False
arrays = [t.numpy() for t in (U, Vh, b, a)]
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "shape": (
        lowrank(S=torch.empty(2, 2, 4)),
        ValueError,
        r"lowrank_svd: out.S has shape \[2, 2, 4\], expected \[2, 2, 3\]",
    ),
    "dtype": (
        lowrank(Vh=torch.empty(2, 2, 3, 8).double()),
        TypeError,
        "out.Vh has dtype torch.float64, expected torch.float32",
    ),
    "U by rows": (
        lowrank(U=torch.empty(2, 2, 9, 3)),
        ValueError,
        r"out.U.mT must be contiguous in each matrix, .*got shape \[2, 2, 3, 9\] with strides \[54, 27, 1, 3\]",
    ),
    "two strides of the batch": (lowrank(S=torch.empty(2, 3, 3)[:, :2]), ValueError, "out.S must be .*one stride"),
    "one matrix for all": (lowrank(S=torch.empty(3).expand(2, 2, 3)), ValueError, "out.S must be .*one stride"),
    "matrices that overlap": (
        lowrank(S=torch.empty(9).as_strided((2, 2, 3), (4, 2, 1))),
        ValueError,
        "out.S must be .*one stride",
    ),
    "parts": (
        lambda: tk.lowrank_svd(b, a, out=svd()[:2]),
        ValueError,
        "must be a LowRankSVD of U, S and Vh, got 2 parts",
    ),
    "an output twice": (
        lowrank(U=room[:4].view(2, 2, 9).expand(3, 2, 2, 9).movedim(0, -1)),
        ValueError,
        "out.U.mT must be contiguous",
    ),
    "two outputs in one place": (
        lambda: tk.lowrank_svd(b[0, 0], b[0, 0].mT, out=LowRankSVD(room[:3].mT, torch.empty(3), room[2:5])),
        ValueError,
        "lowrank_svd: out.Vh shares memory with out.U.mT",
    ),
    "an input": (project(S := b.flatten()[:12].view(2, 2, 3)), ValueError, "project: out shares memory with an input"),
    "strides": (
        project(torch.empty(2, 3, 2).mT),
        ValueError,
        r"project: out must be contiguous, .*strides \[6, 1, 2\]",
    ),
    "a number": (project(3.0), TypeError, "project: out must be a torch.Tensor, as the arguments are, got float"),
    "an array for a tensor": (project(np.empty(3)), TypeError, "must be a torch.Tensor, .*got ndarray"),
    "a tensor for an array": (
        lambda: tk.project(*arrays, out=torch.empty(2, 2, 3)),
        TypeError,
        "must be a numpy.ndarray, .*got Tensor",
    ),
    "a read-only array": (lambda: tk.project(*arrays, out=read_only), ValueError, "out is read-only"),
    "an array from its end": (
        lambda: tk.project(*arrays, out=np.empty((2, 2, 3), np.float32)[::-1]),
        ValueError,
        "has negative strides",
    ),
    "another device": (
        project(torch.empty(2, 2, 3, device="meta")),
        ValueError,
        "out is on meta, the arguments on cpu",
    ),
    "another layout": (project(torch.zeros(2, 2, 3).to_sparse()), ValueError, "out must be dense and its own memory"),
    "a sign to come": (project(torch.zeros(2, 2, 3, dtype=torch.cfloat).conj().imag), ValueError, "dense and its own"),
    "a name too few": (
        pairs({"rec": torch.empty(4, 4)}),
        ValueError,
        "pairwise: out.forward must hold rec, l1, got rec",
    ),
    "a name too many": (
        lambda: tk.compare_spectra(S, S, metrics=["rec"], out={"rec": S[..., 0], "l1": S[..., 0]}),
        ValueError,
        "compare_spectra: out must hold rec, got rec, l1",
    ),
    "no dict": (pairs([torch.empty(4, 4)]), TypeError, "pairwise: out.forward must be a dict of rec, l1, got list"),
    "no backward": (pairs({}, y=y), ValueError, r"pairwise: out must be Pairwise\(forward, backward\)"),
    "a backward": (pairs({}, {}), ValueError, r"pairwise: out must be Pairwise\(forward, None\)"),
    "shape of one λ": (
        pairs(dict.fromkeys(("rec", "l1"), torch.empty(4, 5))),
        ValueError,
        r"out.forward\['rec'\] has shape \[4, 5\], expected \[4, 4\]",
    ),
    "one memory for two names": (
        pairs(dict.fromkeys(("rec", "l1"), torch.empty(4, 4))),
        ValueError,
        r"out.forward\['l1'\] shares memory with out.forward\['rec'\]",
    ),
    "no info": (
        lambda: tk.sparsify(S, tau_norm, 0.3, return_info=True, out=torch.empty(2, 2, 3)),
        ValueError,
        r"sparsify: with return_info out must be \(S, SparseInfo",
    ),
    "dtype of info": (
        lambda: tk.sparsify(
            S, tau_norm, 0.3, return_info=True, out=(torch.empty(2, 2, 3), SparseInfo(*torch.empty(3, 2, 2)))
        ),
        TypeError,
        r"sparsify: out\[1\].steps has dtype torch.float32, expected torch.int64",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


def test_what_alternates_in_memory_does_not_overlap() -> None:
    both = torch.empty(4, 2)
    assert not outputs.overlap(both[:, 0], both[:, 1]) and outputs.overlap(both[1:], both[:2])
    assert not outputs.overlap(both[:0], both) and outputs.overlap(both[:1].expand(9, 2), both[:, 1])
    half = torch.empty(4, 2, dtype=torch.bfloat16)
    assert not outputs.overlap(half[:, 0], half[:, 1]) and outputs.overlap(half[:, 0], half[2])


GRAD = "out= does not support automatic differentiation"


@pytest.mark.parametrize("name", ["input", "out", "tangent"])
def test_derivatives_are_refused(name: str) -> None:
    out = torch.empty(2, 2, 3, requires_grad=name == "out")
    left = b.clone().requires_grad_(name == "input")
    with forward_ad.dual_level():
        if name == "tangent":
            left = forward_ad.make_dual(left, left)
        with pytest.raises(RuntimeError, match=f"^project: {GRAD}"):
            tk.project(U, Vh, left, a, out=out)
    if name != "tangent":
        with torch.no_grad():
            tk.project(U, Vh, left, a, out=out)
        assert_same_bits(out.detach(), tk.project(U, Vh, b, a))


def test_transforms_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"project: out= cannot be used inside transforms of torch.func"):
        torch.vmap(lambda *t: tk.project(*t, out=torch.empty(2, 3)))(U, Vh, b, a)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_compile(name: str) -> None:
    want = CALLS[name]()
    out = empty_like(want)

    def function(out: Any) -> Any:
        CALLS[name](out=out)
        return tree_map_only(Tensor, lambda t: t + 0, out)  # what follows sees what was written

    torch.compiler.reset()
    after = torch.compile(function, fullgraph=True, backend="aot_eager")(out)
    assert_same_bits(out, want)
    assert_same_bits(after, tree_map_only(Tensor, lambda t: t + 0, want))


@pytest.mark.slow
def test_compile_refuses_derivatives() -> None:
    torch.compiler.reset()
    compiled = torch.compile(lambda b, out: tk.project(U, Vh, b, a, out=out), backend="aot_eager")
    with pytest.raises(RuntimeError, match=GRAD):
        compiled(b.clone().requires_grad_(), torch.empty(2, 2, 3))
