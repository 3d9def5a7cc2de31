"""Two ways to write a derivative once, from which both modes follow: the function itself, or its differential."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

Arguments = Sequence[Any]  # of an operator, in order
Outputs = Sequence[Tensor]
Tangents = Sequence[Tensor | None]  # one for each argument or output; None is zero
Wanted = Sequence[int]  # the outputs asked for, by their place


class Rule(Protocol):
    """Derivatives of an operator at its arguments, whose outputs are known."""

    def vjp(
        self, arguments: Arguments, outputs: Outputs, cotangents: Tangents, needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """The gradient of each argument that is needed."""
        ...

    def jvp(self, arguments: Arguments, outputs: Outputs, tangents: Tangents) -> Sequence[Tensor]:
        """The tangent of each floating-point output."""
        ...


@dataclass(frozen=True)
class Formula:
    """``formula(arguments, wanted)``: the wanted outputs, in torch's own operations, which torch differentiates.

    The arguments come in the dtype of the outputs; gradients go back in the dtype of the arguments.
    """

    formula: Callable[[Arguments, Wanted], Sequence[Tensor]]

    def vjp(
        self, arguments: Arguments, outputs: Outputs, cotangents: Tangents, needed: Sequence[bool]
    ) -> list[Tensor | None]:
        wanted = given(cotangents)
        places = [i for i, needs in enumerate(needed) if needs]
        return pulled_back(self.at(arguments, places, wanted, outputs), arguments, places, cotangents)

    def jvp(self, arguments: Arguments, outputs: Outputs, tangents: Tangents) -> Sequence[Tensor]:
        """The transpose of the vjp: torch does not enter forward mode twice."""
        places, wanted = given(tangents), floating(outputs)
        function = self.at(arguments, places, wanted, outputs)

        def pulled(*cotangents: Tensor) -> tuple[Tensor, ...]:
            gradients = pulled_back(function, arguments, places, cotangents)
            return tuple(gradients[i] for i in places)  # type: ignore[misc]

        zeros = [torch.zeros_like(outputs[i]) for i in wanted]
        return pulled_back(pulled, zeros, range(len(zeros)), tangents)  # type: ignore[return-value]

    def at(
        self, arguments: Arguments, places: Sequence[int], wanted: Wanted, outputs: Outputs
    ) -> Callable[..., tuple[Tensor, ...]]:
        """The wanted outputs as a function of the arguments at ``places``."""

        def function(*values: Tensor) -> tuple[Tensor, ...]:
            return tuple(self.formula(cast(filled(arguments, places, values), outputs), wanted))

        return function


@dataclass(frozen=True)
class Differential:
    """``differential(arguments, outputs, tangents, wanted)``: the tangents of the wanted outputs, linear in theirs."""

    differential: Callable[[Arguments, Outputs, Tangents, Wanted], Sequence[Tensor]]

    def vjp(
        self, arguments: Arguments, outputs: Outputs, cotangents: Tangents, needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """The transpose of the differential."""
        wanted = given(cotangents)
        places = [i for i, needs in enumerate(needed) if needs]

        def function(*values: Tensor) -> tuple[Tensor, ...]:
            tangents = filled([None] * len(arguments), places, values)
            return tuple(self.at(arguments, outputs, tangents, wanted))

        zeros = filled(arguments, places, [torch.zeros_like(arguments[i]) for i in places])
        return pulled_back(function, zeros, places, cotangents)

    def jvp(self, arguments: Arguments, outputs: Outputs, tangents: Tangents) -> Sequence[Tensor]:
        return self.at(arguments, outputs, tangents, floating(outputs))

    def at(self, arguments: Arguments, outputs: Outputs, tangents: Tangents, wanted: Wanted) -> Sequence[Tensor]:
        return self.differential(cast(arguments, outputs), outputs, cast(tangents, outputs), wanted)


def pulled_back(
    function: Callable[..., tuple[Tensor, ...]], arguments: Arguments, places: Sequence[int], cotangents: Tangents
) -> list[Tensor | None]:
    """A gradient for each argument, None but at ``places``, whose values are what ``function`` takes."""
    gradients: list[Tensor | None] = [None] * len(arguments)
    if places and given(cotangents):
        pull: Any = torch.func.vjp(function, *(arguments[i] for i in places))[1]
        found = pull(tuple(t for t in cotangents if t is not None))
        for i, gradient in zip(places, found, strict=True):
            gradients[i] = gradient
    return gradients


def given(tangents: Tangents) -> list[int]:
    return [i for i, tangent in enumerate(tangents) if tangent is not None]


def floating(outputs: Outputs) -> list[int]:
    return [i for i, output in enumerate(outputs) if output.is_floating_point()]


def filled(template: Sequence[Any], places: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """``template`` with ``values`` at ``places``."""
    result = list(template)
    for place, value in zip(places, values, strict=True):
        result[place] = value
    return result


def cast(values: Sequence[Any], outputs: Outputs) -> list[Any]:
    """``values``, their floating-point tensors in the dtype of the outputs."""
    real = [isinstance(value, Tensor) and value.is_floating_point() for value in values]
    return [value.to(outputs[0].dtype) if is_real else value for value, is_real in zip(values, real, strict=True)]


def rounding(unit: Tensor) -> Tensor:
    """What is no longer told from 0 among sums of the size of ``unit``."""
    return 16 * torch.finfo(unit.dtype).eps * unit


def norm_last(vectors: Tensor, p: float = 2) -> Tensor:
    """‖·‖_p of the last dimension; of a zero vector with derivative 0, in both modes."""
    zero = (vectors == 0).all(-1)
    value = torch.linalg.vector_norm(torch.where(zero[..., None], 1, vectors), p, dim=-1)
    return torch.where(zero, 0, value)


def root(square: Tensor, unit: Tensor) -> Tensor:
    """√square, a length; where it is 0, or below the rounding of ``unit``, its derivative is 0.

    That is torch's convention for a norm at 0. The limit of 1/√ would make the gradient of a zoo NaN because of the
    pairs of an adapter with itself.
    """
    length = square > rounding(unit)
    return torch.where(length, torch.where(length, square, 1).sqrt(), 0)
