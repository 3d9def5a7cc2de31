"""What derivatives mean: the plain formulas' own, what comes out where there is none, dtypes, and a use in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from taskvec_kernels import (
    LowRankSVD,
    Solver,
    compare_spectra,
    lowrank_svd,
    pairwise,
    project,
    project_dense,
    reference,
    sparsify,
)
from taskvec_kernels.dispatch import operators
from taskvec_kernels.gradients import metrics, pairs
from taskvec_kernels.metrics import SPECTRAL

from .cases import DTYPES, WITHOUT_CHANCE, factors, name_of, padded, pick, random, zoo
from .test_gradients import asked, assert_close, gradients, values

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own

FP64 = torch.float64
# n = r: the dense SVD of the reference has no singular values of zero then, where torch's derivative is NaN
b, a = (t + 2 * random(*t.shape[1:], seed=9) for t in factors(6, 4, 4, batch=(3,), dtype=FP64))
x = pick(zoo(4, 6, 5, 3, dtype=FP64), [1, 3])
s1, s2 = random(2, 4, seed=1).abs(), random(2, 4, seed=2).abs()
NO_ENTROPY = [name for name in WITHOUT_CHANCE if name != "entropy_projected"]  # plain autograd of 0 log 0 is NaN


def of_pairs(svd: Callable[..., Any], compare: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    """Spectra and metrics of adapters of different index, from factors."""

    def run(b: Tensor, a: Tensor) -> tuple[Tensor, ...]:
        sides = svd(b[:1], a[:1]), svd(b[1:], a[1:])
        return values(compare(*sides, metrics=NO_ENTROPY, spectra=True, p=3.0, **settings))

    return run


PLAIN: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Tensor, ...]]] = {
    "lowrank_svd": (
        lambda b, a, s: lowrank_svd(b, a, s).S,
        lambda b, a, s: reference.lowrank_svd(b, a, s).S,
        (b, a, torch.tensor([1.0, -0.5, 2.0], dtype=FP64)),
    ),
    "project": (project, reference.project, (x.U, x.Vh, *factors(6, 5, 2, batch=(2,), dtype=FP64))),
    "project_dense": (project_dense, reference.project_dense, (x.U, x.Vh, random(2, 6, 5))),
    "compare_spectra": (
        lambda *t: compare_spectra(*t, metrics=SPECTRAL, p=3.0),
        lambda *t: reference.compare_spectra(*t, metrics=SPECTRAL, p=3.0),
        (s1, s2),
    ),
    "sparsify": (
        lambda *t: sparsify(*t, [0.1, 0.3]),
        lambda *t: reference.sparsify(*t, [0.1, 0.3]),
        (s1, s2[:, 0] + 4),
    ),
    "factors to pairs": (
        of_pairs(lowrank_svd, pairwise),
        of_pairs(reference.lowrank_svd, reference.pairwise),
        (b, a),
    ),
    "factors to pairs, sparse": (
        of_pairs(lowrank_svd, pairwise, lam=[0.01, 0.05]),
        of_pairs(reference.lowrank_svd, reference.pairwise, lam=[0.01, 0.05]),
        (b, a),
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_as_autograd_through_the_plain_formulas(name: str) -> None:
    function, plain, tensors = PLAIN[name]
    assert_close(gradients(function, tensors), gradients(plain, tensors), rtol=1e-7)


def test_every_metric_but_the_chance_has_a_derivative() -> None:
    assert set(metrics.METRICS) == {*WITHOUT_CHANCE, *SPECTRAL}


def test_a_metric_without_a_derivative_is_an_error_once_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(metrics.METRICS, "rec")
    given = s1.clone().requires_grad_()
    out = compare_spectra(given, s2, metrics=["rec", "l1"])
    out["l1"].sum().backward()
    with pytest.raises(NotImplementedError, match="compare_spectra: metric 'rec' is not differentiable"):
        compare_spectra(given, s2, metrics=["rec"])["rec"].sum().backward()
    S = x.S.clone().requires_grad_()
    with pytest.raises(NotImplementedError, match="pairwise: metric 'rec' is not differentiable"):
        pairwise(x._replace(S=S), metrics=["rec"]).forward["rec"].sum().backward()
    for name in ("rec_chance", "rec_chance_sd"):
        with pytest.raises(NotImplementedError, match=f"pairwise: metric '{name}' is not differentiable"):
            pairwise(x._replace(S=S), metrics=[name]).forward[name].sum().backward()


@pytest.mark.parametrize("function", ["sparsify", "pairwise"])
def test_adam_is_not_differentiable(function: str) -> None:
    def run(S: Tensor) -> Tensor:
        if function == "sparsify":
            return sparsify(S, S.sum(-1) + 1, 0.1, method="adam", steps=3)
        return pairwise(x._replace(S=S), metrics=["l1"], solver=Solver(0.1, "adam", steps=3)).forward["l1"]

    message = f"{function}: method='adam' is not differentiable; use method='exact', or detach the inputs"
    out = run(x.S.clone().requires_grad_())  # the result itself is nobody's business
    for derivative in (
        lambda: out.sum().backward(),
        lambda: torch.func.grad(lambda S: run(S).sum())(x.S),
        lambda: torch.func.jvp(run, (x.S,), (x.S,)),
    ):
        with pytest.raises(NotImplementedError, match=message):
            derivative()


def test_the_weight_of_pairwise_is_not_differentiable() -> None:
    lam, message = torch.tensor(0.1), r"pairwise: lam is not differentiable; pass lam.detach\(\)"

    def run(lam: Tensor) -> Tensor:
        return pairwise(x, lam=lam, metrics=["l1"]).forward["l1"].sum()

    for derivative in (
        lambda: run(lam.clone().requires_grad_()),
        lambda: torch.func.grad(run)(lam),
        lambda: torch.func.jvp(run, (lam,), (lam,)),
    ):
        with pytest.raises(TypeError, match=message):
            derivative()
    assert torch.isfinite(torch.func.grad(lambda S: pairwise(x._replace(S=S), lam=lam).forward["l1"].sum())(x.S)).all()


def test_equal_singular_values_have_no_directions() -> None:
    """S alone has a derivative; that of the directions is inf or NaN, as of ``torch.linalg.svd``."""
    left, right = asked((torch.eye(5, 3, dtype=FP64), torch.eye(3, 4, dtype=FP64)))
    S_of = torch.autograd.grad(lowrank_svd(left, right).S.sum(), left)[0]
    assert_close([S_of], [torch.eye(5, 3, dtype=FP64)])
    U, _, Vh = lowrank_svd(left, right)
    found = torch.autograd.grad((U[:, :1] @ Vh[:1]).sum(), left)[0]
    assert not found.isfinite().all()


def test_directions_of_zero_singular_values_have_derivative_zero() -> None:
    """Padding changes no gradient, and gets what the rest of τ gives it."""
    left, right = factors(6, 5, 2, dtype=FP64)

    def loss(b: Tensor, a: Tensor) -> tuple[Tensor, ...]:
        U, S, Vh = lowrank_svd(b, a)
        return S.square(), U @ Vh

    want = gradients(loss, (left, right))
    pad = torch.nn.functional.pad
    found = asked((pad(left, (0, 2)), pad(right, (0, 0, 0, 2))))
    S2, polar = loss(*found)
    weights = [torch.linspace(-0.6, 1, t.numel(), dtype=FP64).reshape(t.shape) for t in loss(left, right)]
    ((S2[:2] * weights[0]).sum() + (polar * weights[1]).sum()).backward()
    assert_close([found[0].grad[:, :2], found[1].grad[:2]], want)
    assert found[0].grad[:, 2:].abs().max() == 0
    zero = asked((torch.zeros(6, 2, dtype=FP64), right))
    svd = lowrank_svd(*zero)
    (svd.U.sum() + svd.S.sum()).backward()
    assert zero[0].grad.abs().max() == 0


@pytest.mark.parametrize("lam", [0.0, 0.1])
def test_a_zoo_with_itself_has_finite_gradients(lam: float) -> None:
    """A pair of an adapter with itself: lengths of 0 and shares that are equal."""
    given = asked(tuple(padded(x, 4)))
    out = pairwise(LowRankSVD(*given), metrics=WITHOUT_CHANCE, spectra=True, p=3.0, lam=lam).forward
    torch.stack([t.sum() for t in out.values()]).sum().backward()
    assert all(t.grad.isfinite().all() and t.grad.abs().max() > 0 for t in given)


def test_undefined_pairs_add_nothing() -> None:
    zero = torch.tensor([1.0, 0.0], dtype=FP64)
    gone = LowRankSVD(x.U * zero[:, None, None], x.S * zero[:, None], x.Vh * zero[:, None, None])
    given, alone = asked(tuple(gone)), asked(tuple(pick(gone, [0])))
    for tensors in (given, alone):
        out = pairwise(LowRankSVD(*tensors), metrics=["cosine", "energy", "overlap_u", "entropy_projected", "rec"])
        torch.stack([t.nansum() for t in out.forward.values()]).sum().backward()
    assert_close([t.grad[:1] for t in given], [t.grad for t in alone])
    assert all(t.grad[1:].abs().max() == 0 for t in given)


def test_conventions_at_kinks() -> None:
    """Those of torch: relu, abs, minimum; a length of 0 has derivative 0."""
    eye = torch.eye(2, dtype=FP64)
    tau = torch.zeros(2, 2, dtype=FP64, requires_grad=True)
    project_dense(eye, eye, tau).sum().backward()
    assert tau.grad.abs().max() == 0
    same = torch.tensor([2.0, 1.0], dtype=FP64)
    found = {}
    for name in SPECTRAL:
        given = same.clone().requires_grad_()
        compare_spectra(given, same, metrics=[name], p=3.0)[name].backward()
        found[name] = given.grad
    assert all(found[name].abs().max() == 0 for name in ("l1", "l2", "linf", "lp", "entropy_projected"))
    # half of the derivative of a share: ½ (1/Σ − S_k/Σ²) summed over what is the smaller of equals
    assert_close([found["rec"]], [torch.zeros(2, dtype=FP64)])
    # c = 0: S = d, and f = 0 is a length
    d = same.clone().requires_grad_()
    sparsify(d, same.norm(), 0.1).sum().backward()
    assert_close([d.grad], [torch.ones(2, dtype=FP64)])


def test_zeros_of_a_spectrum_stay_zero() -> None:
    given = asked((torch.tensor([3.0, 1.0, 0.0], dtype=FP64), torch.tensor([1.0, 0.0, 0.0], dtype=FP64)))
    out = compare_spectra(*given, metrics=["entropy", "entropy_projected"])
    (out["entropy"] + out["entropy_projected"]).backward()
    assert all(t.grad.isfinite().all() and t.grad[-1] == 0 for t in given)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_gradients_have_the_dtype_of_their_inputs(dtype: torch.dtype) -> None:
    exact = tuple(t.to(dtype).double() for t in factors(9, 8, 3, batch=(4,), dtype=FP64))
    eps = torch.finfo(dtype).eps
    rounded = tuple(t.to(dtype) for t in exact)

    def function(b: Tensor, a: Tensor) -> tuple[Tensor, ...]:
        U, S, Vh = lowrank_svd(b, a, 0.5)
        return S, U @ Vh, project(U, Vh, b.flip(0), a.flip(0), clip=False), project_dense(U, Vh, (b @ a).flip(0))

    found = gradients(function, rounded)
    assert all(t.dtype == dtype for t in found)
    for one, want in zip(found, gradients(function, exact), strict=True):
        torch.testing.assert_close(one.double(), want, rtol=4 * eps, atol=max(4 * eps, 1e-4) * float(want.abs().max()))


def test_mixed_dtypes() -> None:
    left, right = asked((factors(9, 8, 3)[0].half(), factors(9, 8, 3)[1].bfloat16()))
    scale = torch.tensor(2.0, requires_grad=True)
    lowrank_svd(left, right, scale).S.sum().backward()
    assert (left.grad.dtype, right.grad.dtype, scale.grad.dtype) == (torch.float16, torch.bfloat16, torch.float32)
    assert scale.grad > 0
    plain = asked(tuple(t.detach().float() for t in (left, right)))
    (2 * lowrank_svd(*plain).S.sum()).backward()
    torch.testing.assert_close(left.grad.float(), plain[0].grad, rtol=2e-3, atol=2e-3)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    many = zoo(5, 6, 5, 3, dtype=FP64), zoo(4, 6, 5, 2, dtype=FP64, seed=10)

    def run(*parts: Tensor) -> tuple[Tensor, ...]:
        sides = [LowRankSVD(*parts[i : i + 3]) for i in range(0, len(parts), 3)]
        return values(pairwise(*sides, metrics=NO_ENTROPY, spectra=True, p=3.0, lam=[0.0, 0.1]))

    for tensors in ((*many[0],), (*many[0], *many[1])):
        want = gradients(run, tensors)
        moved = torch.func.jvp(run, tensors, tensors)[1]
        with monkeypatch.context() as patch:
            patch.setattr(pairs, "ELEMENTS", 2 * many[0].S.shape[-1] * tensors[-2].numel())
            assert len(list(pairs.row_blocks(tensors[1], tensors[-2]))) == 3
            assert_close(gradients(run, tensors), want)
            assert_close(torch.func.jvp(run, tensors, tensors)[1], moved)


def test_a_call_that_needs_no_gradient_goes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("an autograd.Function for nothing")

    for table in (operators.DERIVATIVES, operators.OPERATORS):
        for name in table:
            monkeypatch.setitem(table, name, refuse)
    svd = lowrank_svd(b, a, torch.ones(3, dtype=FP64))
    pairwise(svd, lam=0.1)
    project(svd.U, svd.Vh, b, a)
    compare_spectra(s1, s2)
    monkeypatch.setattr(operators, "OPERATORS", dict.fromkeys(operators.OPERATORS, lambda *_: 3 * (b,)))
    with torch.no_grad():
        lowrank_svd(b.clone().requires_grad_(), a)


@pytest.mark.slow
def test_fine_tuning_with_a_penalty_moves_the_projection() -> None:
    """A LoRA that learns a task, half of it a stored one, leaves or takes in the directions of that."""
    known, new = (b @ a / 8 for b, a in (factors(12, 10, 2, dtype=FP64, seed=seed) for seed in (5, 8)))
    b, a = factors(12, 10, 2, dtype=FP64, seed=5)
    stored = LowRankSVD(*(t[None] for t in lowrank_svd(b, a)))
    inputs = random(40, 10, seed=6)
    answers = inputs @ (known + new).mT

    def trained(weight: float) -> tuple[float, float]:
        b, a = asked(tuple(t / 3 for t in factors(12, 10, 3, dtype=FP64, seed=11)))
        optimizer = torch.optim.Adam([b, a], lr=0.05)
        for _ in range(40):
            optimizer.zero_grad()
            loss = (inputs @ (b @ a).mT - answers).square().mean()
            own = LowRankSVD(*(t[None] for t in lowrank_svd(b, a)))
            energy = pairwise(stored, own, metrics=["energy"]).forward["energy"].sum()
            (loss + weight * energy).backward()
            optimizer.step()
        return loss.item(), energy.item()

    (loss, energy), (loss_less, less), (loss_more, more) = (trained(weight) for weight in (0, 1, -1))
    assert less < energy / 2 and more > energy + 0.2
    assert loss < min(loss_less, loss_more) and max(loss_less, loss_more) < answers.square().mean()
