"""Derivatives of every function: against finite differences, in both modes, by torch.func and through torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from taskvec_kernels import LowRankSVD, compare_spectra, lowrank_svd, pairwise, project, project_dense, sparsify
from taskvec_kernels.metrics import SPECTRAL

from .cases import WITHOUT_CHANCE, factors, pick, random, zoo

# torch's own, when it first looks for the derivatives of forward mode
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

FP64 = torch.float64
b, a = factors(6, 5, 3, batch=(2,), dtype=FP64)
scale = torch.tensor([0.5, -2.0], dtype=FP64)
# related, so that no spectrum is clipped to nothing, whose entropy is NaN
x, y = pick(zoo(6, 6, 5, 3, dtype=FP64), [1, 3, 5]), pick(zoo(4, 6, 5, 2, dtype=FP64, seed=10), [1, 3])
related = tuple(
    t + 2 * common for t, common in zip(factors(6, 5, 3, batch=(3,), dtype=FP64), (b[0], a[0]), strict=True)
)
s1, s2 = random(2, 4, seed=1).abs(), random(2, 4, seed=2).abs()
d, tau_norm = random(2, 4, seed=3), torch.tensor([4.0, 6.0], dtype=FP64)
lam = torch.tensor([0.05, 0.2], dtype=FP64)


def values(out: Any) -> tuple[Tensor, ...]:
    """The tensors of a result, without those that have no derivative."""
    if isinstance(out, Tensor):
        return (out,) if out.is_floating_point() else ()
    parts = out.values() if isinstance(out, dict) else () if out is None else out
    return tuple(t for part in parts for t in values(part))


def directions(svd: LowRankSVD) -> tuple[Tensor, ...]:
    """What does not depend on the signs of singular vectors, and determines the directions."""
    return svd.S, svd.U[..., :, None, :] * svd.Vh.mT[..., None, :, :]


def sparse(*arguments: Tensor, **settings: Any) -> tuple[Tensor, ...]:
    S, info = sparsify(*arguments, return_info=True, **settings)
    return S, info.objective


def truncated(*parts: Tensor) -> tuple[Tensor, ...]:
    """With ‖τ‖ of each adapter as an input of its own."""
    return pairs_of(*parts[:6], norm=parts[6:], lam=0.02)


def pairs_of(*parts: Tensor, **settings: Any) -> tuple[Tensor, ...]:
    sides = [LowRankSVD(*parts[i : i + 3]) for i in range(0, len(parts), 3)]
    out = pairwise(*sides, metrics=WITHOUT_CHANCE, spectra=True, p=3.0, **settings)
    if out.backward is not None:
        return values(out)
    # without the pairs of an adapter with itself: there l1, l2, … are 0, where a norm has no derivative
    pairs = 1 - torch.eye(3, dtype=FP64)
    return tuple(t * pairs if name not in ("spectra", "d") else t for name, t in out.forward.items())


CASES: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "lowrank_svd": (lambda *t: directions(lowrank_svd(*t)), (b, a, scale)),
    "lowrank_svd of more r than rows": (
        lambda *t: directions(lowrank_svd(*t)),
        factors(3, 5, 4, batch=(2,), dtype=FP64),
    ),
    "lowrank_svd of rank one": (lambda *t: directions(lowrank_svd(*t, 0.3)), factors(4, 3, 1, dtype=FP64)),
    "project": (project, (x.U[:2], x.Vh[:2], b, a, scale)),
    "project, signed": (lambda *t: project(*t, clip=False), (x.U[:2], x.Vh[:2], b, a)),
    "project_dense": (project_dense, (x.U[:2], x.Vh[:2], b @ a)),
    "project_dense, signed": (lambda *t: project_dense(*t, clip=False), (x.U[:2], x.Vh[:2], b @ a)),
    "compare_spectra": (lambda *t: values(compare_spectra(*t, metrics=SPECTRAL, p=3.0)), (s1, s2)),
    "sparsify": (sparse, (d, tau_norm, lam)),
    "sparsify of several λ's": (lambda *t: sparsify(*t, [0.0, 0.1, 0.3]), (d, tau_norm)),
    "sparsify of the square": (lambda *t: sparse(*t, norm="squared"), (d, tau_norm, lam)),
    "pairwise": (pairs_of, tuple(x)),
    "pairwise of two": (pairs_of, (*x, *y)),
    "pairwise of several λ's": (lambda *t: pairs_of(*t, lam=[0.0, 0.02]), (*x, *y)),
    "pairwise of truncated adapters": (truncated, (*x, *y, 1.1 * x.S.norm(dim=-1), 1.2 * y.S.norm(dim=-1))),
    "factors to pairs": (lambda *t: pairs_of(*lowrank_svd(*t)), related),
}
cases = pytest.mark.parametrize("name", CASES)


def asked(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(t.clone().requires_grad_() for t in tensors)


def loss_of(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """A weighted sum of all that a function gives."""

    def loss(*tensors: Tensor) -> Tensor:
        parts = values(function(*tensors))
        weights = [torch.linspace(-0.6, 1, t.numel(), dtype=t.dtype).reshape(t.shape) for t in parts]
        return torch.stack([(w * t).sum().double() for w, t in zip(weights, parts, strict=True)]).sum()

    return loss


def gradients(function: Callable[..., Any], tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    given = asked(tensors)
    found = torch.autograd.grad(loss_of(function)(*given), given)
    assert all(gradient.abs().max() > 0 for gradient in found)
    return found


def assert_close(got: Any, want: Any, rtol: float = 1e-9) -> None:
    for one, other in zip(got, want, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=rtol, atol=rtol * float(other.nan_to_num().abs().max()))


@pytest.mark.slow
@cases
def test_finite_differences(name: str) -> None:
    function, tensors = CASES[name]
    assert torch.autograd.gradcheck(function, asked(tensors), check_forward_ad=True, fast_mode="pair" in name)


@pytest.mark.slow
@cases
def test_second_derivatives(name: str) -> None:
    function, tensors = CASES[name]
    assert torch.autograd.gradgradcheck(function, asked(tensors), fast_mode="pair" in name)


@cases
def test_transforms_of_torch_func(name: str) -> None:
    function, tensors = CASES[name]
    loss, want = loss_of(function), gradients(function, tensors)
    every = tuple(range(len(tensors)))
    assert_close(torch.func.grad(loss, every)(*tensors), want)
    assert_close(torch.func.vjp(loss, *tensors)[1](torch.ones((), dtype=FP64)), want)
    tangents = tuple(random(*t.shape, seed=i) for i, t in enumerate(tensors))
    moved = torch.func.jvp(loss, tensors, tangents)[1]
    assert_close([moved], [sum((g * t).sum() for g, t in zip(want, tangents, strict=True))])


@pytest.mark.slow
@cases
def test_vmap(name: str) -> None:
    function, tensors = CASES[name]
    loss, every = loss_of(function), tuple(range(len(tensors)))
    several = tuple(torch.stack([t, 1.5 * t], -1) for t in tensors)
    outputs = torch.func.vmap(lambda *t: values(function(*t)), in_dims=-1)(*several)
    found = torch.func.vmap(torch.func.grad(loss, every), in_dims=-1)(*several)
    for i in range(2):
        one = tuple(t[..., i] for t in several)
        assert_close([t[i] for t in outputs], values(function(*one)))
        assert_close([t[i] for t in found], gradients(function, one))


def test_vmap_of_some_arguments() -> None:
    several = torch.stack([b, 2 * b])
    outputs = torch.func.vmap(lambda b: lowrank_svd(b, a).S)(several)
    assert_close(outputs, [lowrank_svd(one, a).S for one in several])


def test_hessian() -> None:
    loss = loss_of(CASES["lowrank_svd"][0])
    forward_first = torch.func.jacrev(torch.func.jacfwd(loss))(b, a, scale)
    assert_close([torch.func.hessian(loss)(b, a, scale)], [forward_first])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if "several" not in name and "truncated" not in name])
def test_compile(name: str) -> None:
    function, tensors = CASES[name]
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    assert_close(gradients(compiled, tensors), gradients(function, tensors))


def by_dual_level(*tensors: Tensor) -> Tensor:
    with forward_ad.dual_level():
        out = project(*(forward_ad.make_dual(t, t) for t in tensors))
        return forward_ad.unpack_dual(out).tangent


TRACED: dict[str, Callable[..., Any]] = {
    "grad": torch.func.grad(lambda *t: project(*t).sum()),
    "jvp": lambda *t: torch.func.jvp(project, t, t)[1],
    "jvp of vmap": lambda *t: torch.func.jvp(torch.func.vmap(project), t, t)[1],
    "dual numbers": by_dual_level,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACED)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_compile_of_transforms(name: str) -> None:
    """Eagerly, or an error that says so where that is not allowed; never a zero."""
    function, tensors = TRACED[name], CASES["project, signed"][1]
    torch.compiler.reset()
    assert_close([torch.compile(function, backend="aot_eager")(*tensors)], [function(*tensors)])
    torch.compiler.reset()
    with pytest.raises(Exception, match="cannot trace forward mode"):
        torch.compile(function, fullgraph=True, backend="aot_eager")(*tensors)
