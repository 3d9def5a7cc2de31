"""The options of the sparse projection, the same in every command that compares."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal

import typer

PANEL: dict[str, Any] = {"show_default": False}
Option = typer.Option
OPTIONS: dict[str, Any] = {
    "method": Annotated[Literal["exact", "adam"], Option(help="The minimiser itself, or the paper's optimiser.")],
    "norm": Annotated[Literal["frobenius", "squared"], Option(help="Of the residual in the objective.")],
    "lr": Annotated[float | None, Option(help="Adam: learning rate, in units of the target's norm. [0.1]", **PANEL)],
    "steps": Annotated[int | None, Option(help="Adam: number of steps. [1000]", **PANEL)],
    "tol": Annotated[float | None, Option(help="Adam: stop when two losses differ by no more. [0: never]", **PANEL)],
    "betas": Annotated[tuple[float, float] | None, Option(help="Adam: decay rates. [0.9 0.999]", **PANEL)],
    "eps": Annotated[float | None, Option(help="Adam: added to the denominator. [1e-8]", **PANEL)],
    "start": Annotated[
        Literal["closed_form", "zeros", "normal"] | None,
        Option(help="Adam: where S starts. [closed_form; of lambda-path normal]", **PANEL),
    ],
    "units": Annotated[
        Literal["tau", "paper"] | None,
        Option(help="Adam: lr, tol and random starts in units of the target's norm, or absolute. [tau]", **PANEL),
    ],
    "schedule": Annotated[
        Literal["linear", "constant"] | None,
        Option(help="Adam: whether the learning rate falls to 0 over the steps. [linear]", **PANEL),
    ],
}
DEFAULTS = {"method": "exact", "norm": "frobenius"}


def solver_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds OPTIONS to a command, which gets those that were given as one mapping, ``solver``."""
    shown = inspect.signature(command, eval_str=True)  # typer does not evaluate a signature that is given

    @wraps(command)
    def run(**given: Any) -> None:
        solver = {name: given.pop(name) for name in OPTIONS}
        command(**given, solver={name: value for name, value in solver.items() if value is not None})

    own = [parameter for name, parameter in shown.parameters.items() if name != "solver"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS.get(name), annotation=kind)
        for name, kind in OPTIONS.items()
    ]
    # typer reads both
    run.__signature__ = shown.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    run.__annotations__ = {name: kind for name, kind in command.__annotations__.items() if name != "solver"} | OPTIONS
    return run


Lambda = Annotated[
    list[float],
    Option("--lambda", help="Weight of the sparse projection; may be given several times. [0]", show_default=False),
]
Seed = Annotated[int, Option(help="Adam: seed of random starts.")]


def one_or_several(lam: list[float]) -> float | list[float]:
    """A λ alone is no axis of the result."""
    return lam[0] if len(lam) == 1 else lam
