"""The options of the sparse projection, the same in every command that compares."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from .added import add_options

PANEL, OF_ADAM = "Sparse projection", "Adam (--method adam)"
ADAM: dict[str, Any] = {"rich_help_panel": OF_ADAM, "show_default": False}
Option = typer.Option
# the fields of taskvec_kernels.Solver but lam and seed, which some commands have none of
OPTIONS: dict[str, Any] = {
    "method": Annotated[Literal["exact", "adam"], Option(help="The exact minimiser, or the paper's Adam.")],
    "norm": Annotated[Literal["frobenius", "squared"], Option(help="Norm of the residual in the objective.")],
    "positive": Annotated[
        Literal["clip", "softplus", "exp", "abs"] | None,
        Option(help="How S stays ≥ 0: clipped after each step, or made of an x that is stepped on. [clip]", **ADAM),
    ],
    "lr": Annotated[float | None, Option(help="Learning rate, in units of the target's norm. [0.1]", **ADAM)],
    "steps": Annotated[int | None, Option(help="Number of steps. [1000]", **ADAM)],
    "tol": Annotated[
        float | None, Option(help="Stop when two losses in a row differ by at most this. [0: never]", **ADAM)
    ],
    "betas": Annotated[tuple[float, float] | None, Option(help="Decay rates. [0.9 0.999]", **ADAM)],
    "eps": Annotated[float | None, Option(help="Added to the denominator. [1e-8]", **ADAM)],
    "start": Annotated[
        Literal["closed_form", "zeros", "normal"] | None,
        Option(help="Where S starts. [closed_form; in lambda-path normal]", **ADAM),
    ],
    "units": Annotated[
        Literal["tau", "paper"] | None,
        Option(help="lr, tol and random starts in units of the target's norm, or absolute. [tau]", **ADAM),
    ],
    "schedule": Annotated[
        Literal["linear", "constant"] | None,
        Option(help="Learning rate falls to 0 over the steps, or stays. [linear]", **ADAM),
    ],
}
solver_options = add_options(OPTIONS, {"method": "exact", "norm": "frobenius"}, "settings", PANEL)

Lambda = Annotated[
    list[float],
    Option("--lambda", help="Weight λ; may be given several times. [0]", show_default=False, rich_help_panel=PANEL),
]
Seed = Annotated[int, Option(help="Seed of random starts.", rich_help_panel=OF_ADAM)]


def one_or_several(lam: list[float]) -> float | list[float]:
    """A single λ is no axis of the result."""
    return lam[0] if len(lam) == 1 else lam
