"""The ``torch.library`` operators behind the public functions: opaque to ``torch.compile``, with fakes for shapes.

Signatures are flat and functional (fresh outputs, no mutation). One operator call covers a whole zoo, so that the cost
of dispatch (microseconds) vanishes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from ..solver import Solver
from ..types import Adapters
from . import autograd
from .arguments import forward_mode, result_dtype
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
SCHEMAS = (
    "lowrank_svd(Tensor b, Tensor a, Tensor scale, str? backend) -> (Tensor, Tensor, Tensor)",
    "project(Tensor U, Tensor Vh, Tensor b, Tensor a, Tensor scale, bool clip, str? backend) -> Tensor",
    "project_dense(Tensor U, Tensor Vh, Tensor tau, bool clip, str? backend) -> Tensor",
    "compare_spectra(Tensor s1, Tensor s2, str[] metrics, float? p, str? backend) -> Tensor[]",
    f"sparsify(Tensor d, Tensor tau_norm, Tensor lam, Tensor? seed, {SOLVER}, bool info, float? slack, "
    "str? backend) -> (Tensor, Tensor, Tensor, Tensor)",
    f"pairwise({ADAPTERS.format('x')}, {MORE_ADAPTERS.format('y')}, str[] metrics, bool spectra, str precision, "
    f"float? p, float[] lam, {SOLVER}, str? backend) -> Tensor[]",
)


def lowrank_svd(b: Tensor, a: Tensor, scale: Tensor, backend: str | None) -> tuple[Tensor, Tensor, Tensor]:
    return implementation("lowrank_svd", backend, b.device)(b, a, scale)  # type: ignore[no-any-return]


def project(U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: Tensor, clip: bool, backend: str | None) -> Tensor:
    return implementation("project", backend, U.device)(U, Vh, b, a, scale, clip)  # type: ignore[no-any-return]


def project_dense(U: Tensor, Vh: Tensor, tau: Tensor, clip: bool, backend: str | None) -> Tensor:
    return implementation("project_dense", backend, U.device)(U, Vh, tau, clip)  # type: ignore[no-any-return]


def compare_spectra(s1: Tensor, s2: Tensor, metrics: list[str], p: float | None, backend: str | None) -> list[Tensor]:
    return implementation("compare_spectra", backend, s1.device)(s1, s2, metrics, p)  # type: ignore[no-any-return]


def sparsify(
    d: Tensor, tau_norm: Tensor, lam: Tensor, seed: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *solver, info, slack, backend = rest
    run = implementation("sparsify", backend, d.device)
    return run(d, tau_norm, lam, seed, as_solver(0.0, *solver), info, slack)  # type: ignore[no-any-return]


def pairwise(*arguments: Any) -> list[Tensor]:
    x, y = Adapters(*arguments[:5]), None if arguments[5] is None else Adapters(*arguments[5:10])
    metrics, spectra, precision, p, lam, *solver, backend = arguments[10:]
    for name, side in (("x", x), ("y", y)):
        if side is not None and side.norm is not None and side.norm.is_cpu:
            check_norm(name, side.S, side.norm)
    run = implementation("pairwise", backend, x.U.device)
    return run(x, y, metrics, spectra, precision, p, as_solver(lam, *solver))  # type: ignore[no-any-return]


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


def fake_lowrank_svd(b: Tensor, a: Tensor, scale: Tensor, backend: str | None) -> tuple[Tensor, Tensor, Tensor]:
    *batch, m, r = b.shape
    n = a.shape[-1]
    k = min(r, m, n)
    dtype = result_dtype(b, a)
    return (
        b.new_empty(*batch, k, m, dtype=dtype),
        b.new_empty(*batch, k, dtype=dtype),
        b.new_empty(*batch, k, n, dtype=dtype),
    )


def fake_project(U: Tensor, Vh: Tensor, b: Tensor, a: Tensor, scale: Tensor, clip: bool, backend: str | None) -> Tensor:
    return U.new_empty(*U.shape[:-2], U.shape[-1], dtype=result_dtype(U, Vh, b, a))


def fake_project_dense(U: Tensor, Vh: Tensor, tau: Tensor, clip: bool, backend: str | None) -> Tensor:
    return U.new_empty(*U.shape[:-2], U.shape[-1], dtype=result_dtype(U, Vh, tau))


def fake_compare_spectra(
    s1: Tensor, s2: Tensor, metrics: list[str], p: float | None, backend: str | None
) -> list[Tensor]:
    return [s1.new_empty(s1.shape[:-1], dtype=result_dtype(s1, s2)) for _ in metrics]


def fake_sparsify(
    d: Tensor, tau_norm: Tensor, lam: Tensor, seed: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    found = lam.shape if rest[-3] else (0,)
    return (
        d.new_empty(*lam.shape, d.shape[-1]),
        d.new_empty(found),
        d.new_empty(found, dtype=torch.int64),
        d.new_empty(found, dtype=torch.bool),
    )


def fake_pairwise(*arguments: Any) -> list[Tensor]:
    x, y = Adapters(*arguments[:5]), None if arguments[5] is None else Adapters(*arguments[5:10])
    metrics, spectra, _, _, lam, *_ = arguments[10:]
    *batch, N, kx = x.S.shape
    M, ky = (N, kx) if y is None else y.S.shape[-2:]
    dtype = result_dtype(x.U)

    def one_way(rows: int, columns: int, k: int) -> list[Tensor]:
        shapes = [(len(lam), *batch, rows, columns) for _ in metrics]
        if spectra:
            shapes += [(len(lam), *batch, rows, columns, k), (*batch, rows, columns, k)]
        return [x.S.new_empty(shape, dtype=dtype) for shape in shapes]

    return one_way(N, M, kx) + ([] if y is None else one_way(M, N, ky))


def on_its_device(run: Callable[..., Any]) -> Callable[..., Any]:
    """``run`` with the first tensor's GPU as the current one, which is where Triton launches."""

    @wraps(run)
    def there(first: Tensor, *rest: Any) -> Any:
        with torch.cuda.device(first.device):
            return run(first, *rest)

    return there


def undifferentiated(name: str) -> Callable[..., Any]:
    """The operator under a derivative: its function, on the CPU where nobody else looks."""

    def run(first: Tensor, *rest: Any) -> Any:
        return (FUNCTIONS if first.is_cpu and not observed(first, *rest) else OPERATORS)[name](first, *rest)

    return run


for schema in SCHEMAS:
    LIBRARY.define(schema)  # type: ignore[no-untyped-call]
FUNCTIONS: dict[str, Callable[..., Any]] = {}
ON_GPU: dict[str, Callable[..., Any]] = {}
OPERATORS: dict[str, Callable[..., Any]] = {}
DERIVATIVES: dict[str, Callable[..., Any]] = {}
for run, fake in (
    (lowrank_svd, fake_lowrank_svd),
    (project, fake_project),
    (project_dense, fake_project_dense),
    (compare_spectra, fake_compare_spectra),
    (sparsify, fake_sparsify),
    (pairwise, fake_pairwise),
):
    name, guarded = run.__name__, on_its_device(run)
    LIBRARY.impl(name, run, "CPU")  # type: ignore[no-untyped-call]
    LIBRARY.impl(name, guarded, "CUDA")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"taskvec::{name}", fake, lib=LIBRARY)
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
