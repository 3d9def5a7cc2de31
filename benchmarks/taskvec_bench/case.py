"""What a case is: one workload, and everything that can do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

Compare = Callable[[Any, Any], None]


class DisagreementError(Exception):
    """A provider's result is not the case's; the message says which value, what it is and what it should be."""


@dataclass(frozen=True)
class Provider:
    """One way to do a case's work.

    ``run`` takes the case's inputs. ``part`` is the share of the work that one call does: its time is divided by it.
    ``computes`` says what the provider gives where that is not what the case asks for; it then has a ``truth`` and an
    ``agrees`` of its own. ``needs`` are modules without which it is left out.
    """

    run: Callable[[Any], Any]
    part: float = 1.0
    computes: str = ""
    truth: Callable[[Any], Any] | None = None
    agrees: Compare | None = None
    needs: tuple[str, ...] = ()

    def missing(self) -> str:
        """The first module of ``needs`` that is not installed; empty if none is missing."""
        return next((name for name in self.needs if find_spec(name.partition(".")[0]) is None), "")


@dataclass(frozen=True)
class Case:
    """One workload, declared once and without a tensor: ``inputs`` makes them when the case is run.

    ``truth`` gives the fp64 reference of the inputs (of a part of them, where the whole is too slow), and ``agrees``
    raises ``DisagreementError`` where a result is not that. ``flop`` and ``bytes`` are what the best method needs, and
    ``precision`` the one it must compute in: the matmul rate of that precision is the limit.
    """

    function: str
    shape: Mapping[str, Any]  # model, modules, N, m, n, r: what the case's name is made of, and the columns of its rows
    flop: float
    bytes: float
    inputs: Callable[[], Any]
    truth: Callable[[Any], Any]
    agrees: Compare
    providers: Mapping[str, Provider]
    variant: str = ""
    precision: Literal["float32", "float64"] = "float32"
    threads: int | None = None  # None: all
    quick: bool = False
    curves: tuple[str, ...] = field(default=())  # growth curves it is a point of: "N", "r", "m", "threads"

    @property
    def name(self) -> str:
        """E.g. ``pairwise gpt2-c_attn modules=12 N=8 m=2304 n=768 r=8``; unique in the registry."""
        words = [self.function, self.variant]
        words += [str(value) if key == "model" else f"{key}={value}" for key, value in self.shape.items()]
        words += [f"threads={self.threads}"] if self.threads else []
        return " ".join(word for word in words if word)
