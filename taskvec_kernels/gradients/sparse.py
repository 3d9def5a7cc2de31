"""``sparsify``: the exact minimiser, through its active set (docs/METHOD.md §8). Adam has no derivative."""

from __future__ import annotations

import torch
from torch import Tensor

from .rule import Arguments, Formula, Wanted, root


def sparsify(arguments: Arguments, wanted: Wanted) -> list[Tensor]:
    d, tau_norm, lam, _, method, norm, *_, info, _, _ = arguments
    S = minimiser("sparsify", d, tau_norm, lam, method, norm)
    if not (info and 1 in wanted):
        return [(S, d.new_empty(0))[i] for i in wanted]
    rest = tau_norm.square() - d.square().sum(-1)
    square = rest.relu() + (S - d).square().sum(-1)
    length = square if norm == "squared" else root(square, tau_norm.square())
    objective = length + lam * S.sum(-1)
    return [(S, objective)[i] for i in wanted]


def minimiser(function: str, d: Tensor, tau_norm: Tensor, lam: Tensor, method: str, norm: str) -> Tensor:
    """S (..., k) for λ (...), with the derivative of the set of positive S fixed, which it is almost everywhere.

    Raises:
        NotImplementedError: the method is Adam.
    """
    if method != "exact":
        raise NotImplementedError(
            f"{function}: method={method!r} is not differentiable; use method='exact', or detach the inputs"
        )
    if norm == "squared":
        return (d - lam[..., None] / 2).relu()
    d = d - torch.zeros_like(lam)[..., None]  # every λ
    active = active_set(d.detach(), tau_norm.detach(), lam.detach())
    outside = tau_norm.square() - torch.where(active, d, 0).square().sum(-1)
    f = root(outside / room(lam, active.sum(-1)), tau_norm.square())
    return torch.where(active, d - (lam * f)[..., None], 0)


def active_set(d: Tensor, tau_norm: Tensor, lam: Tensor) -> Tensor:
    """Where S > 0: the largest set {d_k > λ f} that agrees with its own f."""
    most, order = d.sort(dim=-1, descending=True)
    count = torch.arange(1, d.shape[-1] + 1, device=d.device)
    outside = (tau_norm.square()[..., None] - most.square().cumsum(-1)).relu()
    left = 1 - lam.square()[..., None] * count
    tight = (lam.square()[..., None] * outside < most.square() * left) & (left > 0)
    contained = (outside == 0) & (left >= 0)  # the tie of METHOD §3: the larger set
    size = ((most > 0) & (tight | contained)).mul(count).amax(-1, keepdim=True)
    return torch.zeros_like(d, dtype=torch.bool).scatter(-1, order, count <= size)


def room(lam: Tensor, active: Tensor) -> Tensor:
    """1 − λ² |A|; 1 where the tie makes it 0."""
    left = 1 - lam.square() * active
    return torch.where(left > 0, left, 1)


SPARSIFY = Formula(sparsify)
