"""The ``torch.library`` operators: ``opcheck``, and ``torch.compile`` of every public function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from taskvec_kernels import compare_spectra, lowrank_svd, pairwise, project, project_dense, sparsify
from taskvec_kernels.dispatch import operators
from taskvec_kernels.solver import Solver

from .cases import factors, zoo
from .compare import assert_same_bits

pytestmark = pytest.mark.slow

ops = torch.ops.taskvec
b, a = factors(9, 8, 3, batch=(4,))
x, y = zoo(4, 9, 8, 3), zoo(2, 9, 8, 2, seed=10)
one = torch.ones(4, dtype=torch.float64)
closed = ([0.0], *operators.flat(Solver()))  # λ = 0
lam, seed = torch.rand(2, 4, dtype=torch.float64), torch.arange(4)
weighed = ([0.1, 1.0], *operators.flat(Solver(norm="squared")))
exact = operators.flat(Solver())
adam = operators.flat(Solver(method="adam", start="normal", steps=3))
alone, both = (*x, *[None] * 7), (*x, None, None, *y, None, None)
spectral, pairs = ["rec", "entropy"], ["l1", "cosine"]

CALLS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "lowrank_svd": (ops.lowrank_svd, (b, a, one, None)),
    "lowrank_svd of strided fp64": (ops.lowrank_svd, (b.double().mT.contiguous().mT, a.double(), one, "cpu")),
    "lowrank_svd by reference": (ops.lowrank_svd, (b, a, one, "reference")),
    "project": (ops.project, (x.U, x.Vh, b, a, one, True, None)),
    "project_dense": (ops.project_dense, (x.U, x.Vh, b @ a, False, None)),
    "compare_spectra": (ops.compare_spectra, (x.S, x.S.flip(-1), spectral, None, None)),
    "pairwise": (ops.pairwise, (*alone, pairs, True, "highest", None, *closed, None)),
    "pairwise of two": (ops.pairwise, (*both, pairs, False, "high", None, *closed, None)),
    "pairwise by reference": (
        ops.pairwise,
        (*both, pairs, True, "highest", None, *closed, "reference"),
    ),
    "pairwise of several λ's": (
        ops.pairwise,
        (*both, pairs, True, "highest", None, *weighed, None),
    ),
    "pairwise by Adam": (
        ops.pairwise,
        (*x, None, seed, *y, None, seed[:2], pairs, True, "highest", None, [0.1, 1.0], *adam, None),
    ),
    "sparsify": (ops.sparsify, (x.S, 9 * one.float(), lam, None, *exact, True, 4e-6, None)),
    "sparsify without info": (ops.sparsify, (x.S, 9 * one.float(), lam, None, *exact, False, None, "cpu")),
    "sparsify by Adam": (ops.sparsify, (x.S.double(), 9 * one, lam, seed, *adam, True, None, None)),
    "sparsify by reference": (ops.sparsify, (x.S, 9 * one.float(), lam, None, *exact, True, None, "reference")),
}


@pytest.mark.parametrize("name", CALLS)
def test_opcheck(name: str) -> None:
    op, arguments = CALLS[name]
    torch.library.opcheck(op.default, arguments)


@pytest.mark.parametrize("name", CALLS)
def test_opcheck_of_given_outputs(name: str) -> None:
    op, arguments = CALLS[name]
    want = op(*arguments)
    out = [torch.empty_like(t) for t in ([want] if isinstance(want, torch.Tensor) else want)]
    torch.library.opcheck(op.out, arguments, {"out": out})
    assert op.out(*arguments, out=out) is None
    assert_same_bits(out, [want] if isinstance(want, torch.Tensor) else list(want))


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "lowrank_svd": (lambda b, a: lowrank_svd(b, a, 0.5), (b, a)),
    "lowrank_svd with scales": (lowrank_svd, (b, a, torch.arange(4.0))),
    "project": (lambda *t: project(*t, 2.0, clip=False), (x.U, x.Vh, b, a)),
    "project_dense": (project_dense, (x.U, x.Vh, b @ a)),
    "compare_spectra": (lambda s, t: compare_spectra(s, t, metrics=["rec", "lp"], p=3.0), (x.S, x.S.flip(-1))),
    "pairwise": (lambda *t: pairwise(type(x)(*t), spectra=True), tuple(x)),
    "pairwise of two": (lambda *t: pairwise(type(x)(*t[:3]), type(x)(*t[3:])), (*x, *y)),
    "pairwise of several λ's": (lambda *t: pairwise(type(x)(*t), lam=[0.0, 0.3], spectra=True), tuple(x)),
    "pairwise by Adam": (
        lambda *t: pairwise(type(x)(*t[:3]), solver=Solver(0.3, "adam", start="normal", steps=3), seed=t[3]),
        (*x, seed),
    ),
    "sparsify": (lambda d, t: sparsify(d, t, 0.3), (x.S, 9 * one.float())),
    "sparsify of several λ's": (lambda d, t, w: sparsify(d, t, w, return_info=True), (x.S, 9 * one, lam)),
    "sparsify by Adam": (
        lambda d, t, s: sparsify(d, t, [0.1, 0.3], method="adam", start="normal", steps=3, seed=s),
        (x.S, 9 * one, seed),
    ),
    "factors to pairs": (lambda b, a: pairwise(lowrank_svd(b, a)), (b, a)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compile(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    assert_same_bits(compiled(*arguments), function(*arguments))


def test_compile_of_changing_shapes() -> None:
    torch.compiler.reset()
    compiled = torch.compile(lowrank_svd, fullgraph=True, backend="aot_eager", dynamic=True)
    for shape in ((9, 8, 3), (12, 7, 4), (30, 40, 5)):
        given = factors(*shape, batch=(2,))
        assert_same_bits(compiled(*given), lowrank_svd(*given))


class Listener(TorchDispatchMode):
    """Notes the operators of this package that torch runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "taskvec":
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_mode_sees_the_operators(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    with Listener() as listener:
        seen = function(*arguments)
    assert listener.seen
    assert_same_bits(seen, function(*arguments))


def test_the_profiler_sees_the_operators() -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        lowrank_svd(b, a)
    assert "taskvec::lowrank_svd" in {event.key for event in profile.key_averages()}


class Wrapped(torch.Tensor):
    """A tensor without memory of its own: what it holds is known to its operators alone."""

    seen: ClassVar[list[str]] = []
    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapped:
        wrapped: Wrapped = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        wrapped.inner = inner
        return wrapped

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.seen.append(str(func))
        return func(*(t.inner if isinstance(t, Wrapped) else t for t in args), **(kwargs or {}))


def test_a_subclass_sees_the_operators() -> None:
    S = project(x.U, x.Vh, b, Wrapped(a))
    assert "taskvec.project.default" in Wrapped.seen
    assert_same_bits(S, project(x.U, x.Vh, b, a))


def test_transforms_and_traces_see_the_operators() -> None:
    assert_same_bits(torch.vmap(lambda *t: project(*t))(x.U, x.Vh, b, a), project(x.U, x.Vh, b, a))
    traced = make_fx(lambda b, a: lowrank_svd(b, a).S)(b, a)
    assert ops.lowrank_svd.default in {node.target for node in traced.graph.nodes}


def test_another_default_device_changes_nothing() -> None:
    with torch.device("meta"):
        S = project(x.U, x.Vh, b, a, 2.0)
    assert_same_bits(S, project(x.U, x.Vh, b, a, 2.0))


def test_nothing_listens_to_a_plain_call() -> None:
    assert not operators.observed(b, a, one, None) and not operators.observed(b.new_tensor(1), True, 0.5, [0.5])
    assert operators.observed(None, torch.nn.Parameter(b))


@pytest.mark.parametrize("name", ["dispatch_modes", "function_modes", "transforms", "trace", "profiler"])
def test_without_a_private_name_of_torch_calls_go_through_the_dispatcher(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = project(x.U, x.Vh, b, a)
    monkeypatch.setattr(operators, name, operators.private(torch._C, "a_name_that_is_gone"))
    assert operators.observed(b, a, one)
    monkeypatch.setitem(operators.FUNCTIONS, "project", None)
    assert_same_bits(project(x.U, x.Vh, b, a), want)


def test_meta_tensors_give_shapes() -> None:
    out = ops.pairwise(
        *(t.to("meta") for t in x),
        None,
        None,
        *(t.to("meta") for t in y),
        None,
        None,
        pairs,
        True,
        "highest",
        None,
        *closed,
        None,
    )
    forward, backward = [[1, 4, 2], [1, 4, 2], [1, 4, 2, 3], [4, 2, 3]], [[1, 2, 4], [1, 2, 4], [1, 2, 4, 2], [2, 4, 2]]
    assert [list(t.shape) for t in out] == forward + backward


def test_a_gpu_call_makes_its_device_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[torch.device] = []

    class Guard:
        def __init__(self, device: torch.device) -> None:
            self.device = device

        def __enter__(self) -> None:
            entered.append(self.device)

        def __exit__(self, *error: object) -> None:
            entered.append(torch.device("meta"))

    monkeypatch.setattr(torch.cuda, "device", Guard)
    run = operators.on_its_device(lambda first, *rest: (list(entered), rest))
    assert run(b, 1, 2) == ([b.device], (1, 2)) and entered[1:] == [torch.device("meta")]
