"""Products of matrices without rounding: an fp64 number is an integer times a power of two."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor


class Exact:
    """A matrix of integers times 2**exponent."""

    def __init__(self, values: np.ndarray, exponent: int) -> None:
        self.values, self.exponent = values, exponent

    @classmethod
    def of(cls, x: Tensor) -> Exact:
        share, power = np.frexp(x.double().numpy())
        least = int(power[share != 0].min(initial=0))
        digits = (share * 2.0**53).astype(np.int64).astype(object)
        shift = np.where(share != 0, power - least, 0).astype(object)
        return cls(digits * 2**shift, least - 53)

    def __matmul__(self, other: Exact) -> Exact:
        return Exact(self.values @ other.values, self.exponent + other.exponent)

    def __sub__(self, other: Exact) -> Exact:
        least = min(self.exponent, other.exponent)
        mine, others = (x.values * 2 ** (x.exponent - least) for x in (self, other))
        return Exact(mine - others, least)

    def norm(self) -> float:
        """‖·‖_F, rounded once at the end."""
        square = int((self.values**2).sum())
        extra = max(0, square.bit_length() - 128) // 2 * 2
        return math.ldexp(math.sqrt(square >> extra), self.exponent + extra // 2)


def error_of_svd(b: Tensor, a: Tensor, U: Tensor, S: Tensor, Vh: Tensor) -> tuple[float, float]:
    """‖b a − U S Vh‖_F and ‖b a‖_F."""
    tau = Exact.of(b) @ Exact.of(a)
    return (tau - Exact.of(U) @ Exact.of(S.diag()) @ Exact.of(Vh)).norm(), tau.norm()
