"""The ``torch.library`` operators behind the public functions: opaque to ``torch.compile``, with fakes for shapes.

Signatures are flat. Each operator has two: one with fresh outputs, and ``out``, which fills those it is given and
returns nothing. One operator call covers a whole zoo, so that the cost of dispatch (microseconds) vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from ..solver import Solver
from ..types import Adapters
from . import autograd
from .arguments import forward_mode, has_derivative
from .outputs import SIZES, Given, check, refuse_overlap
from .registry import implementation
from .values import check_norm

# the fields of ``Solver`` in their order, but λ and the seed, of which there are tensors
SOLVER = (
    "str method, str norm, str positive, float lr, int steps, float tol, float[] betas, float eps, str start, "
    "str units, str schedule"
)
ADAPTERS = "Tensor {0}U, Tensor {0}S, Tensor {0}Vh, Tensor? {0}_norm, Tensor? {0}_seed"
MORE_ADAPTERS = ADAPTERS.replace("Tensor ", "Tensor? ")
LIBRARY = torch.library.Library("taskvec", "DEF")  # type: ignore[no-untyped-call]
SCHEMAS = {  # arguments, outputs
    "lowrank_svd": ("Tensor b, Tensor a, Tensor scale, str? backend", "(Tensor, Tensor, Tensor)"),
    "project": ("Tensor U, Tensor Vh, Tensor b, Tensor a, Tensor scale, bool clip, str? backend", "Tensor"),
    "project_dense": ("Tensor U, Tensor Vh, Tensor tau, bool clip, str? backend", "Tensor"),
    "compare_spectra": ("Tensor s1, Tensor s2, str[] metrics, float? p, str? backend", "Tensor[]"),
    "sparsify": (
        f"Tensor d, Tensor tau_norm, Tensor lam, Tensor? seed, {SOLVER}, bool info, float? slack, str? backend",
        "(Tensor, Tensor, Tensor, Tensor)",
    ),
    "pairwise": (
        f"{ADAPTERS.format('x')}, {MORE_ADAPTERS.format('y')}, str[] metrics, bool spectra, str precision, float? p, "
        f"float[] lam, {SOLVER}, str? backend",
        "Tensor[]",
    ),
}
Out = Sequence[Tensor] | None  # what a backend fills; None: it makes its own


def lowrank_svd(
    b: Tensor, a: Tensor, scale: Tensor, backend: str | None, out: Out = None
) -> tuple[Tensor, Tensor, Tensor]:
    return implementation("lowrank_svd", backend, b.device)(b, a, scale, out=out)  # type: ignore[no-any-return]


def project(
    U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: Tensor, clip: bool, backend: str | None, out: Out = None
) -> Tensor:
    return implementation("project", backend, U.device)(U, Vh, b, a, scale, clip, out=out)  # type: ignore[no-any-return]


def project_dense(U: Tensor, Vh: Tensor, tau: Tensor, clip: bool, backend: str | None, out: Out = None) -> Tensor:
    return implementation("project_dense", backend, U.device)(U, Vh, tau, clip, out=out)  # type: ignore[no-any-return]


def compare_spectra(
    s1: Tensor, s2: Tensor, metrics: list[str], p: float | None, backend: str | None, out: Out = None
) -> list[Tensor]:
    return implementation("compare_spectra", backend, s1.device)(s1, s2, metrics, p, out=out)  # type: ignore[no-any-return]


def sparsify(
    d: Tensor, tau_norm: Tensor, lam: Tensor, seed: Tensor | None, *rest: Any, out: Out = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *solver, info, slack, backend = rest
    run = implementation("sparsify", backend, d.device)
    return run(d, tau_norm, lam, seed, as_solver(0.0, *solver), info, slack, out=out)  # type: ignore[no-any-return]


def pairwise(*arguments: Any, out: Out = None) -> list[Tensor]:
    x, y = Adapters(*arguments[:5]), None if arguments[5] is None else Adapters(*arguments[5:10])
    metrics, spectra, precision, p, lam, *solver, backend = arguments[10:]
    for name, side in (("x", x), ("y", y)):
        if side is not None and side.norm is not None and side.norm.is_cpu:
            check_norm(name, side.S, side.norm)
    run = implementation("pairwise", backend, x.U.device)
    return run(x, y, metrics, spectra, precision, p, as_solver(lam, *solver), out=out)  # type: ignore[no-any-return]


def flat(solver: Solver) -> tuple[Any, ...]:
    """A solver as an operator's arguments."""
    s = solver
    return s.method, s.norm, s.positive, s.lr, s.steps, s.tol, s.betas, s.eps, s.start, s.units, s.schedule


def as_solver(*fields: Any) -> Solver:
    """The solver of an operator's arguments; torch's dispatcher makes lists of sequences."""
    return solver_of(*(tuple(field) if isinstance(field, list) else field for field in fields))


@lru_cache(maxsize=64)
def solver_of(*fields: Any) -> Solver:
    return Solver(*fields)


def fake(name: str) -> Callable[..., Any]:
    """The operator's outputs, empty."""
    gives = SCHEMAS[name][1]

    def run(first: Tensor, *rest: Any) -> Any:
        made = [first.new_empty(shape, dtype=dtype) for shape, dtype in SIZES[name](first, *rest)]
        return made[0] if gives == "Tensor" else made if gives == "Tensor[]" else tuple(made)

    return run


def filler(name: str, run: Callable[..., Any]) -> Callable[..., None]:
    """The operator ``out`` of ``run``."""

    def into(*arguments: Any, out: Sequence[Tensor], labels: Sequence[str] = ()) -> None:
        refuse_overlap(name, labels or [f"out[{i}]" for i in range(len(out))], out, arguments)
        run(*arguments, out=out)

    return into


def on_its_device(run: Callable[..., Any]) -> Callable[..., Any]:
    """``run`` with the first tensor's GPU as the current one, which is where Triton launches."""

    @wraps(run)
    def there(first: Tensor, *rest: Any, **options: Any) -> Any:
        with torch.cuda.device(first.device):
            return run(first, *rest, **options)

    return there


def undifferentiated(name: str) -> Callable[..., Any]:
    """The operator under a derivative: its function, on the CPU where nobody else looks."""

    def run(first: Tensor, *rest: Any) -> Any:
        return (FUNCTIONS if first.is_cpu and not observed(first, *rest) else OPERATORS)[name](first, *rest)

    return run


FUNCTIONS: dict[str, Callable[..., Any]] = {}
ON_GPU: dict[str, Callable[..., Any]] = {}
OPERATORS: dict[str, Callable[..., Any]] = {}
DERIVATIVES: dict[str, Callable[..., Any]] = {}
for run in (lowrank_svd, project, project_dense, compare_spectra, sparsify, pairwise):
    name, guarded = run.__name__, on_its_device(run)
    takes, gives = SCHEMAS[name]
    LIBRARY.define(f"{name}({takes}) -> {gives}")  # type: ignore[no-untyped-call]
    LIBRARY.define(f"{name}.out({takes}, *, Tensor(a!)[] out) -> ()")  # type: ignore[no-untyped-call]
    for device, function in (("CPU", run), ("CUDA", guarded)):
        LIBRARY.impl(name, function, device)  # type: ignore[no-untyped-call]
        LIBRARY.impl(f"{name}.out", filler(name, function), device)  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"taskvec::{name}", fake(name), lib=LIBRARY)
    torch.library.register_fake(f"taskvec::{name}.out", lambda *arguments, out: None, lib=LIBRARY)
    FUNCTIONS[name], ON_GPU[name] = run, guarded
    OPERATORS[name] = getattr(torch.ops.taskvec, name).default
    DERIVATIVES[name] = autograd.function(name, undifferentiated(name)).apply
    torch.library.register_autograd(
        f"taskvec::{name}", autograd.backward(name), setup_context=autograd.keep, lib=LIBRARY
    )


def call(name: str, first: Tensor, *rest: Any) -> Any:
    """The operator ``name``, with its derivative; its function itself where nobody sees the difference.

    To go through torch's dispatcher takes as long as a small call does.
    """
    if torch.compiler.is_compiling():
        if derivative_is_traced():
            torch._dynamo.graph_break(msg=NOT_TRACED)  # with fullgraph an error that says so
            return torch.compiler.disable(eager)(name, first, *rest)  # type: ignore[no-untyped-call]
        return OPERATORS[name](first, *rest)
    return eager(name, first, *rest)


def eager(name: str, first: Tensor, *rest: Any) -> Any:
    if not observed(first, *rest):
        return (FUNCTIONS if first.is_cpu else ON_GPU if first.is_cuda else OPERATORS)[name](first, *rest)
    return (DERIVATIVES if differentiated(first, *rest) else OPERATORS)[name](first, *rest)


def fill(name: str, given: Sequence[Given], first: Tensor, *rest: Any) -> None:
    """``call`` with its results in the memory given.

    Raises:
        TypeError, ValueError: it cannot hold them, or it is an input's too.
        RuntimeError: a derivative is asked for.
    """
    check(name, given, SIZES[name](first, *rest), first.device)
    out, labels = [one.tensor for one in given], [one.label for one in given]
    if torch.compiler.is_compiling():
        refuse_derivative(name, derivative_is_traced(), first, *rest, *out)
        getattr(torch.ops.taskvec, name).out(first, *rest, out=out)
        return
    refuse_derivative(name, bool(transforms()), first, *rest, *out)
    if observed(first, *rest, *out) or not (first.is_cpu or first.is_cuda):
        getattr(torch.ops.taskvec, name).out(first, *rest, out=out)
    else:
        filler(name, (FUNCTIONS if first.is_cpu else ON_GPU)[name])(first, *rest, out=out, labels=labels)


def refuse_derivative(name: str, transformed: bool, *tensors: Any) -> None:
    """RuntimeError, as torch's own functions raise it: memory that is written again has no derivative."""
    if transformed:
        raise RuntimeError(f"{name}: out= cannot be used inside transforms of torch.func; leave it out there")
    asked = torch.is_grad_enabled() or forward_mode()
    if asked and any(isinstance(value, Tensor) and has_derivative(value) for value in tensors):
        raise RuntimeError(
            f"{name}: out= does not support automatic differentiation, but one of the arguments requires grad; "
            "leave out= away, or call it under torch.no_grad()"
        )


NOT_TRACED = (
    "torch.compile cannot trace forward mode or torch.func's derivatives of taskvec_kernels; leave them outside"
)


def derivative_is_traced() -> bool:
    """Whether ``torch.compile`` is inside of forward mode, or of a transform other than vmap.

    What it traces there has no derivative, which would be a silent zero.
    """
    if forward_mode():
        return True
    if not torch._C._are_functorch_transforms_active():
        return False
    from torch._functorch import pyfunctorch  # private: only where it is needed

    return pyfunctorch.retrieve_current_functorch_interpreter().key() != torch._C._functorch.TransformType.Vmap


def observed(*arguments: Any) -> bool:
    """Whether autograd, a subclass of Tensor, a mode, a transform, a trace or the profiler is to see an operator."""
    for value in arguments:
        kind = type(value)
        if kind is Tensor or kind is Parameter:
            if value.requires_grad and torch.is_grad_enabled():
                return True
        elif isinstance(value, Tensor):
            return True
    return bool(dispatch_modes() or function_modes() or transforms() or trace() or profiler()) or forward_mode()


def differentiated(*arguments: Any) -> bool:
    """Whether a derivative may be asked for: of a tensor that requires one, in forward mode, or by a transform."""
    if transforms() or forward_mode():
        return True
    return torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in arguments)


def private(owner: Any, name: str) -> Callable[[], Any]:
    """A question that torch keeps to itself; where this torch cannot be asked, the answer is that somebody listens."""
    found: Callable[[], Any] = getattr(owner, name, lambda: True)
    return found


dispatch_modes = private(torch._C, "_len_torch_dispatch_stack")
function_modes = private(torch._C, "_is_torch_function_mode_enabled")
transforms = private(getattr(torch._C, "_functorch", None), "peek_interpreter_stack")
trace = private(torch._C, "_get_tracing_state")
profiler = private(torch.autograd, "_profiler_enabled")
