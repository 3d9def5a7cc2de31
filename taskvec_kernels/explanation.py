"""``explain``: what a call would run, and why."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .dispatch.registry import BACKENDS, FUNCTIONS, chosen, loaded, simd_level, usable
from .types import LowRankSVD


@dataclass(frozen=True)
class Explanation:
    """What a call runs; ``str`` of it is one line.

    Attributes:
        function: its name.
        backend: the name of the backend that runs it.
        level: the SIMD level on the CPU, None elsewhere.
        route: how ``pairwise`` multiplies the left and the right directions on the CPU, None elsewhere.
        why: why this backend, and what it says of itself: on the CPU what the level amx lacks here.
        others: why not the others, by name.
    """

    function: str
    backend: str
    level: str | None
    route: tuple[str, str] | None
    why: str
    others: dict[str, str]

    def __str__(self) -> str:
        route = "" if self.route is None else f", products by {' and '.join(dict.fromkeys(self.route))}"
        others = "; ".join(f"{name}: {reason}" for name, reason in self.others.items())
        return f"{self.function} runs on {self.backend}{route}, {self.why}; not {others}"


def explain(function: Callable[..., object], *arguments: object, **options: object) -> Explanation:
    """What ``function(*arguments, **options)`` would run, without running it.

    Args:
        function: one of this package that computes.
        *arguments: its arguments, of which the devices and shapes are looked at.
        **options: the same.

    Raises:
        TypeError: a function that is not one of them, or arguments that it does not take.
        ValueError: the backend that is forced is unknown or cannot run.
    """
    name = getattr(function, "__name__", repr(function))
    if name not in FUNCTIONS:
        takes = f"explain takes one of {', '.join(FUNCTIONS)}"
        raise TypeError(
            f"{takes}, the function itself and not its name" if isinstance(function, str) else f"{takes}, got {name}"
        )
    given = inspect.signature(function).bind(*arguments, **options).arguments
    device, forced = device_of(*given.values()), given.get("backend")
    backend = chosen(name, forced, device)
    ask = getattr(loaded(backend), "route", None) if name == "pairwise" else None
    route = ask and ask(given["x"], given.get("y"), given.get("precision", "highest"))
    others = {other: reason_not(other, name, device) for other in BACKENDS if other != backend}
    why = f"the first that can run on {device}" if forced is None else f"as backend={backend!r} says"
    why += f": {usable(backend, device)[1]}"
    return Explanation(name, backend, simd_level() if backend == "cpu" else None, route, why, others)


def device_of(*arguments: object) -> torch.device:
    """Of the first tensor, or of that within the first adapters; arrays are on the CPU."""
    for value in arguments:
        first = value.U if isinstance(value, LowRankSVD) else value
        if isinstance(first, Tensor):
            return first.device
    return torch.device("cpu")


def reason_not(backend: str, function: str, device: torch.device) -> str:
    ok, reason = usable(backend, device, function)
    return f"can run ({reason}), and runs with backend={backend!r}" if ok else reason
