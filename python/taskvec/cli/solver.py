"""The options of the sparse projection, the same in every command that compares."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from .added import add_options

UNSHOWN: dict[str, Any] = {"show_default": False}
Option = typer.Option
# the fields of taskvec_kernels.Solver but lam and seed, which some commands have none of
OPTIONS: dict[str, Any] = {
    "method": Annotated[Literal["exact", "adam"], Option(help="The exact minimiser, or the paper's Adam.")],
    "norm": Annotated[Literal["frobenius", "squared"], Option(help="Norm of the residual in the objective.")],
    "positive": Annotated[
        Literal["clip", "softplus", "exp", "abs"] | None,
        Option(
            help="Adam: how S stays ≥ 0: clipped after each step, or made of an x that is stepped on. [clip]", **UNSHOWN
        ),
    ],
    "lr": Annotated[float | None, Option(help="Adam: learning rate, in units of the target's norm. [0.1]", **UNSHOWN)],
    "steps": Annotated[int | None, Option(help="Adam: number of steps. [1000]", **UNSHOWN)],
    "tol": Annotated[
        float | None, Option(help="Adam: stop when two losses in a row differ by at most this. [0: never]", **UNSHOWN)
    ],
    "betas": Annotated[tuple[float, float] | None, Option(help="Adam: decay rates. [0.9 0.999]", **UNSHOWN)],
    "eps": Annotated[float | None, Option(help="Adam: added to the denominator. [1e-8]", **UNSHOWN)],
    "start": Annotated[
        Literal["closed_form", "zeros", "normal"] | None,
        Option(help="Adam: where S starts. [closed_form; in lambda-path normal]", **UNSHOWN),
    ],
    "units": Annotated[
        Literal["tau", "paper"] | None,
        Option(help="Adam: lr, tol and random starts in units of the target's norm, or absolute. [tau]", **UNSHOWN),
    ],
    "schedule": Annotated[
        Literal["linear", "constant"] | None,
        Option(help="Adam: learning rate falls to 0 over the steps, or stays. [linear]", **UNSHOWN),
    ],
}
solver_options = add_options(OPTIONS, {"method": "exact", "norm": "frobenius"}, "settings")

Lambda = Annotated[
    list[float],
    Option("--lambda", help="Weight of the sparse projection; may be given several times. [0]", show_default=False),
]
Seed = Annotated[int, Option(help="Adam: seed of random starts.")]


def one_or_several(lam: list[float]) -> float | list[float]:
    """A single λ is no axis of the result."""
    return lam[0] if len(lam) == 1 else lam
