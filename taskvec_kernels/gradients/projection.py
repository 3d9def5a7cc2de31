"""``project`` and ``project_dense``: d is linear in each argument; the clipped S₂ has derivative 0 at d = 0."""

from __future__ import annotations

from torch import Tensor

from .rule import Arguments, Formula, Wanted


def project(arguments: Arguments, wanted: Wanted) -> list[Tensor]:
    U, Vh, b, a, scale, clip, _ = arguments
    d = scale[..., None] * (U.mT @ b * (Vh @ a.mT)).sum(-1)  # [..., k]
    return [d.relu() if clip else d]


def project_dense(arguments: Arguments, wanted: Wanted) -> list[Tensor]:
    U, Vh, tau, clip, _ = arguments
    d = (U.mT @ tau * Vh).sum(-1)  # [..., k]
    return [d.relu() if clip else d]


PROJECT, PROJECT_DENSE = Formula(project), Formula(project_dense)
