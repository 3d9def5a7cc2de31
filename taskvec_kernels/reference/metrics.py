"""Step 4: one function a metric, of what is known of a source and a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics import DEFAULT_SPECTRAL
from ..sign_patterns import sign_patterns
from .lowrank import norm_last

NOT_GIVEN = torch.empty(0, dtype=torch.float64)
ELEMENTS = 2**22  # of pairs × patterns × directions at a time


def compare_spectra(
    s1: Tensor,
    s2: Tensor,
    *,
    metrics: Sequence[str] = DEFAULT_SPECTRAL,
    p: float | None = None,
) -> dict[str, Tensor]:
    """Step 4 of the method on two spectra (..., k)."""
    s1, s2 = torch.broadcast_tensors(s1.double(), s2.double())  # type: ignore[no-untyped-call]
    return {name: METRICS[name](Pair(s1=s1, s2=s2, p=p or 1.0)) for name in metrics}


@dataclass
class Pair:
    """What a metric of source→target may use; the shapes broadcast to (..., N, M) and (..., N, M, k)."""

    s1: Tensor
    s2: Tensor
    p: float = 1.0
    d: Tensor = NOT_GIVEN
    tau_norm: Tensor = NOT_GIVEN  # ‖τ₂‖_F
    source_norm: Tensor = NOT_GIVEN  # ‖τ₁‖_F
    inner: Tensor = NOT_GIVEN  # ⟨τ₁, τ₂⟩
    rank_target: Tensor = NOT_GIVEN
    cross_u: Tensor = NOT_GIVEN  # U₁ᵀU₂
    cross_v: Tensor = NOT_GIVEN  # V₁ᵀV₂
    closed: Tensor = NOT_GIVEN  # whether S₂ is max(0, d)
    held: Tensor = NOT_GIVEN  # ‖U₁ᵀτ₂V₁‖_F
    held_out: Tensor = NOT_GIVEN  # ‖U₁ᵀτ₂‖_F
    held_in: Tensor = NOT_GIVEN  # ‖τ₂V₁‖_F
    size: int = 0  # m · n

    @property
    def rank(self) -> Tensor:
        """r: the number of non-zero S₁."""
        return count(self.s1)

    @property
    def undefined(self) -> Tensor:
        """No source direction or no target: what is then a ratio of zeros."""
        return (self.rank == 0) | (self.tau_norm == 0)


def count(s: Tensor) -> Tensor:
    """The number of non-zero components, NaN where one is NaN."""
    return torch.where(s > 0, 1.0, 0.0 * s).sum(-1)


def l1(pair: Pair) -> Tensor:
    return (pair.s1 - pair.s2).abs().sum(-1)


def l2(pair: Pair) -> Tensor:
    return norm_last(pair.s1 - pair.s2)


def linf(pair: Pair) -> Tensor:
    return (pair.s1 - pair.s2).abs().amax(-1)


def lp(pair: Pair) -> Tensor:
    value: Tensor = torch.linalg.vector_norm(pair.s1 - pair.s2, pair.p, dim=-1)
    return value


def rec(pair: Pair) -> Tensor:
    """Σ_k min(S₁ₖ/ΣS₁, S₂ₖ/ΣS₂); 0 when one of them is a zero spectrum."""
    sum1, sum2 = pair.s1.sum(-1), pair.s2.sum(-1)
    overlap = torch.minimum(pair.s1 / sum1[..., None], pair.s2 / sum2[..., None]).sum(-1)
    return torch.where((sum1 == 0) | (sum2 == 0), 0.0 * (sum1 + sum2), overlap)  # NaN of the other stays


def entropy(pair: Pair) -> Tensor:
    return normalised_entropy(pair.s1, pair.rank)


def entropy_projected(pair: Pair) -> Tensor:
    return normalised_entropy(pair.s2, pair.rank)


def cosine(pair: Pair) -> Tensor:
    return torch.where(pair.undefined, torch.nan, pair.inner / (pair.source_norm * pair.tau_norm))


def residual(pair: Pair) -> Tensor:
    """‖U S₂ Vᴴ − τ₂‖_F / ‖τ₂‖_F, whose square is 1 − ΣS₂(2 d − S₂)/‖τ₂‖²: with S₂ = max(0, d), 1 − energy."""
    held = (pair.s2 / pair.tau_norm[..., None] * (2 * pair.d - pair.s2) / pair.tau_norm[..., None]).sum(-1)
    return torch.where(pair.undefined, torch.nan, (1 - held).clamp(min=0).sqrt())


def energy(pair: Pair) -> Tensor:
    return torch.where(pair.undefined, torch.nan, (pair.s2 / pair.tau_norm[..., None]).square().sum(-1))


def excess(pair: Pair) -> Tensor:
    held = (pair.d / pair.tau_norm[..., None]).square().sum(-1)
    return torch.where(pair.undefined, torch.nan, held * pair.size / pair.rank)


def overlap_u(pair: Pair) -> Tensor:
    return overlap(pair, pair.cross_u)


def overlap_v(pair: Pair) -> Tensor:
    return overlap(pair, pair.cross_v)


def captured(pair: Pair) -> Tensor:
    return share(pair, pair.held)


def captured_out(pair: Pair) -> Tensor:
    return share(pair, pair.held_out)


def captured_in(pair: Pair) -> Tensor:
    return share(pair, pair.held_in)


def rec_chance(pair: Pair) -> Tensor:
    return chance(pair, lambda recs: recs.mean(-1))


def rec_chance_sd(pair: Pair) -> Tensor:
    return chance(pair, lambda recs: recs.std(-1, correction=0))


METRICS: dict[str, Callable[[Pair], Tensor]] = {
    f.__name__: f
    for f in (
        l1, l2, linf, lp, rec, entropy, entropy_projected, cosine, residual, energy, excess, overlap_u, overlap_v,
        captured, captured_out, captured_in, rec_chance, rec_chance_sd,
    )
}  # fmt: skip


def chance(pair: Pair, statistic: Callable[[Tensor], Tensor]) -> Tensor:
    """A statistic of REC over the sign patterns of |d|; r ends at the last direction that is not zero."""
    s1, d = pair.s1, pair.d.abs()
    place = torch.arange(1, s1.shape[-1] + 1)
    ranks = torch.where((s1 == 0) & (d == 0), 0, place).amax(-1).clamp(min=1)
    found = torch.zeros(ranks.shape, dtype=torch.float64)
    for r in sorted(set(ranks.flatten().tolist())):
        on = sign_patterns(r).double()
        for some in (ranks == r).nonzero().split(max(1, ELEMENTS // on.numel())):
            at = some.unbind(-1)
            s2 = on * d[at][..., None, :r]  # [pairs, patterns, r]
            found[at] = statistic(rec(Pair(s1=s1[at][..., None, :r].expand_as(s2), s2=s2)))
    return torch.where(pair.closed, found, torch.nan)


def share(pair: Pair, held: Tensor) -> Tensor:
    return torch.where(pair.undefined, torch.nan, (held / pair.tau_norm).square())


def overlap(pair: Pair, cross: Tensor) -> Tensor:
    smaller = torch.minimum(pair.rank, pair.rank_target)
    return torch.where(pair.undefined, torch.nan, cross.square().sum((-2, -1)) / smaller)


def normalised_entropy(s: Tensor, rank: Tensor) -> Tensor:
    """−(1/log r) Σ p log p with p = s/Σs; NaN for a zero spectrum, 0 for one component."""
    share = s / s.sum(-1, keepdim=True)  # NaN when Σs = 0
    h = -torch.special.xlogy(share, share).sum(-1) / rank.log()
    return torch.where((s.sum(-1) == 0) | (rank == 0), torch.nan, torch.where(rank == 1, 0 * share.sum(-1), h) + 0.0)
