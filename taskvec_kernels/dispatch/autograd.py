"""Derivatives of the operators in torch's three ways: reverse mode, forward mode and ``torch.func``.

Eager calls and transforms go through an ``autograd.Function`` of each operator. ``torch.compile`` does not trace a
Function with a ``jvp``: it sees the operator, for which the same backward is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..gradients.lowrank import LOWRANK_SVD
from ..gradients.pairs import PAIRWISE, read
from ..gradients.projection import PROJECT, PROJECT_DENSE
from ..gradients.rule import Rule
from ..gradients.sparse import SPARSIFY
from ..gradients.spectra import COMPARE_SPECTRA

RULES: dict[str, Rule] = {
    "lowrank_svd": LOWRANK_SVD,
    "project": PROJECT,
    "project_dense": PROJECT_DENSE,
    "compare_spectra": COMPARE_SPECTRA,
    "sparsify": SPARSIFY,
    "pairwise": PAIRWISE,
}


def function(name: str, run: Callable[..., Any]) -> type[torch.autograd.Function]:
    """The Function of an operator that ``run`` computes."""

    class Operator(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> Any:
            output = run(*arguments)
            return tuple(output) if isinstance(output, list) else output

        setup_context = staticmethod(keep)
        backward = staticmethod(backward(name))

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Any:
            arguments, outputs = kept(ctx)
            found = iter(RULES[name].jvp(arguments, outputs, tangents))
            result = tuple(next(found) if output.is_floating_point() else None for output in outputs)
            return result if ctx.several else result[0]

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
            output = Operator.apply(*with_batch(name, info.batch_size, in_dims, arguments))  # type: ignore[no-untyped-call]
            return output, batch_of_outputs(name, arguments, output)

    Operator.__name__ = Operator.__qualname__ = name
    return Operator


def keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """What a derivative needs: the arguments and the outputs."""
    ctx.several = not isinstance(output, Tensor)
    outputs = output if ctx.several else (output,)
    tensors = [t for t in (*inputs, *outputs) if isinstance(t, Tensor)]
    ctx.arguments = [IS_TENSOR if isinstance(value, Tensor) else value for value in inputs]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)


IS_TENSOR = object()


def kept(ctx: Any) -> tuple[list[Any], list[Tensor]]:
    tensors = iter(ctx.saved_tensors)
    arguments = [next(tensors) if value is IS_TENSOR else value for value in ctx.arguments]
    return arguments, list(tensors)


def backward(name: str) -> Callable[..., Any]:
    """The backward of an operator, for a Function and for ``register_autograd``, which passes lists as they are."""

    def run(ctx: Any, *cotangents: Any) -> Any:
        given = cotangents[0] if isinstance(cotangents[0], list | tuple) else cotangents
        return tuple(RULES[name].vjp(*kept(ctx), given, ctx.needs_input_grad))

    return run


def with_batch(name: str, size: int, in_dims: Sequence[int | None], arguments: Sequence[Any]) -> list[Any]:
    """The arguments with the mapped dimension as the first of their batch."""
    result = list(arguments)
    for i, (dim, value) in enumerate(zip(in_dims, arguments, strict=True)):
        if isinstance(value, Tensor):
            mapped = value.expand(size, *value.shape) if dim is None else value.movedim(dim, 0)
            result[i] = mapped.movedim(0, 1) if (name, i) == ("sparsify", 2) else mapped  # λ's own axis is first
    return result


def batch_of_outputs(name: str, arguments: Sequence[Any], output: Any) -> Any:
    """The place of the mapped dimension in each output."""
    if isinstance(output, Tensor):
        return 0
    if name == "sparsify":
        return tuple(1 if t.dim() > 1 else None for t in output)  # what nobody asked for is empty
    if name == "pairwise":
        request = read(arguments)[0]
        return tuple(0 if request.name(i) == "d" else 1 for i in range(len(output)))
    return (0,) * len(output)
