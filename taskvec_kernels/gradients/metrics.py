"""The metrics as torch differentiates them. Where a value is 0 or NaN by definition, its derivative is 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .rule import norm_last, root, rounding

NOT_GIVEN = torch.empty(0)


@dataclass(frozen=True)
class Compared:
    """What a metric of source→target may use; the shapes broadcast to (..., N, M) and (..., N, M, k)."""

    s1: Tensor
    s2: Tensor
    p: float | None = None
    d: Tensor = NOT_GIVEN
    source_norm: Tensor = NOT_GIVEN  # ‖τ₁‖
    target_norm: Tensor = NOT_GIVEN  # ‖τ₂‖
    source_rank: Tensor = NOT_GIVEN
    target_rank: Tensor = NOT_GIVEN
    crosses: Sequence[Tensor] = ()  # ‖U₁ᵀU₂‖², ‖V₁ᵀV₂‖²
    held: Sequence[Tensor] = ()  # ‖U₁ᵀτ₂V₁‖², ‖U₁ᵀτ₂‖², ‖τ₂V₁‖²
    size: int = 0  # m · n

    @property
    def undefined(self) -> Tensor:
        return (self.source_rank == 0) | (self.target_norm == 0)

    def over(self, value: Tensor, divisor: Tensor) -> Tensor:
        """value / divisor, NaN for a ratio of zeros."""
        return torch.where(self.undefined, torch.nan, value / torch.where(self.undefined, 1, divisor))

    def of_target(self, value: Tensor) -> Tensor:
        """(..., k) in units of ‖τ₂‖."""
        return value / torch.where(self.undefined, 1, self.target_norm)[..., None]


def distance(c: Compared, p: float) -> Tensor:
    """‖S₁ − S₂‖_p; a difference below rounding is 0, so that noise does not choose a sign."""
    gap = c.s1 - c.s2
    unit = torch.maximum(c.s1, c.s2).amax(-1, keepdim=True)
    return norm_last(torch.where(gap.abs() <= rounding(unit), 0, gap), p)


def lp(c: Compared) -> Tensor:
    assert c.p is not None
    return distance(c, c.p)


def rec(c: Compared) -> Tensor:
    """Where the two shares are equal but for rounding, each takes half of the derivative."""
    (share1, zero1), (share2, zero2) = shares(c.s1), shares(c.s2)
    equal = (share1 - share2).abs() <= rounding(torch.ones_like(share1))
    smaller = torch.where(equal, (share1 + share2) / 2, torch.minimum(share1, share2))
    return torch.where(zero1 | zero2, 0, smaller.sum(-1))


def entropy(s: Tensor, rank: Tensor) -> Tensor:
    """A zero entry stays zero: its own derivative, +∞, is left out."""
    share, zero = shares(torch.where(s == 0, 0, s))
    share = torch.where(share == 0, 1, share)
    h = -(share * share.log()).sum(-1) / rank.clamp(min=2).to(s.dtype).log()
    return torch.where(zero | (rank == 0), torch.nan, torch.where(rank == 1, 0, h))


def shares(s: Tensor) -> tuple[Tensor, Tensor]:
    """s / Σs, and whether the spectrum is zero."""
    total = s.sum(-1)
    zero = total == 0
    return s / torch.where(zero, 1, total)[..., None], zero


def live(s: Tensor) -> Tensor:
    """r: the number of non-zero S."""
    return (s > 0).sum(-1)


def energy(c: Compared) -> Tensor:
    return c.over(c.of_target(c.s2).square().sum(-1), torch.ones_like(c.target_norm))


def residual(c: Compared) -> Tensor:
    square = 1 - (c.of_target(c.s2) * c.of_target(2 * c.d - c.s2)).sum(-1)
    return c.over(root(square, torch.ones_like(square)), torch.ones_like(c.target_norm))


def overlap(c: Compared, cross: Tensor) -> Tensor:
    return c.over(cross, torch.minimum(c.source_rank, c.target_rank))


def share(c: Compared, held: Tensor) -> Tensor:
    return c.over(held, c.target_norm.square())


METRICS: dict[str, Callable[[Compared], Tensor]] = {
    "l1": lambda c: distance(c, 1),
    "l2": lambda c: distance(c, 2),
    "linf": lambda c: distance(c, torch.inf),
    "lp": lp,
    "rec": rec,
    "entropy": lambda c: entropy(c.s1, live(c.s1)),
    "entropy_projected": lambda c: entropy(c.s2, live(c.s1)),
    "cosine": lambda c: c.over((c.s1 * c.d).sum(-1), c.source_norm * c.target_norm),
    "residual": residual,
    "energy": energy,
    "excess": lambda c: c.over(c.of_target(c.d).square().sum(-1) * c.size, c.source_rank),
    "overlap_u": lambda c: overlap(c, c.crosses[0]),
    "overlap_v": lambda c: overlap(c, c.crosses[1]),
    "captured": lambda c: share(c, c.held[0]),
    "captured_out": lambda c: share(c, c.held[1]),
    "captured_in": lambda c: share(c, c.held[2]),
}


def metric(function: str, name: str, c: Compared) -> Tensor:
    """
    Raises:
        NotImplementedError: the metric has no derivative here.
    """
    if name not in METRICS:
        raise NotImplementedError(
            f"{function}: metric {name!r} is not differentiable; leave it out of the loss, or detach it"
        )
    return METRICS[name](c)
