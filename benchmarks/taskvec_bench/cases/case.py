"""What a case is: one workload, everything that can do it, and when two results are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

# metrics of spectra near 1: fp32 of any order of summation passes, a wrong formula does not
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Provider:
    """One way to do a case's work.

    ``run`` takes the case's inputs, or what ``prepare`` makes of them outside the timing. ``part`` is the share of the
    work that one call does: its time is divided by it. ``computes`` says what the provider gives where that is not what
    the case asks for; it then has a ``truth`` of its own. Without the module ``needs`` it is left out.
    """

    run: Callable[[Any], Any]
    part: float = 1.0
    computes: str = ""
    truth: Callable[[Any], Any] | None = None
    agrees: Callable[[Any, Any], None] | None = None
    prepare: Callable[[Any], Any] = lambda inputs: inputs
    needs: str = ""

    def missing(self) -> bool:
        return bool(self.needs) and find_spec(self.needs) is None


@dataclass(frozen=True)
class Case:
    """One workload on one device, declared once and without a tensor: ``inputs`` makes them when the case is run.

    ``truth`` gives the fp64 reference of the inputs (of a part of them, where the whole is too slow), and ``agrees``
    raises AssertionError where a result is not that. ``flop`` and ``bytes`` are what the best method needs, and
    ``precision`` the one of the matmul rate that is the limit.
    """

    function: str
    shape: Mapping[str, Any]  # model, modules, N, m, n, r: what the case's name is made of, and the columns of its rows
    flop: float
    bytes: float
    inputs: Callable[[], Any]
    truth: Callable[[Any], Any]
    agrees: Callable[[Any, Any], None]
    providers: Mapping[str, Provider]
    variant: str = ""
    precision: str = "float32"
    device: str = "cpu"
    threads: int | None = None  # None: all
    quick: bool = False
    curves: tuple[str, ...] = ()  # growth curves it is a point of: "N", "r", "m"

    @property
    def name(self) -> str:
        """E.g. ``pairwise gpt2-c_attn modules=12 N=8 m=2304 n=768 r=8``; unique in the registry."""
        words = [self.function, self.variant]
        words += [str(value) if key == "model" else f"{key}={value}" for key, value in self.shape.items()]
        words += [f"threads={self.threads}"] if self.threads else []
        words += [self.device] if self.device != "cpu" else []
        return " ".join(word for word in words if word)


def backend(function: str, device: str) -> str:
    """The backend of this package that does ``function`` on ``device``."""
    return "cpu" if device == "cpu" else "cuda" if function == "lowrank_svd" else "triton"


def close(result: Any, truth: Any, absolute: float = TOLERANCE, relative: float = TOLERANCE) -> None:
    """Raise AssertionError unless |result − truth| ≤ absolute + relative·|truth|; NaN belongs where NaN is.

    Of mappings: for every name of ``truth``.
    """
    for name, true in truth.items() if isinstance(truth, Mapping) else [("", truth)]:
        value = result[name] if name else result
        said = lambda message, name=name: " ".join(f"{name} {message}".split())  # noqa: E731
        torch.testing.assert_close(
            value.double().cpu(), true.double().cpu(), rtol=relative, atol=absolute, equal_nan=True, msg=said
        )


@contextmanager
def threads(count: int | None) -> Iterator[int]:
    """torch's number of threads inside: ``count``, or what it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
