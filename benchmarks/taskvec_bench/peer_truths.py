"""What the peers claim to compute, as fp64 formulas of picked adapters (``pairs.picks``)."""

from __future__ import annotations

import torch
from torch import Tensor

from taskvec_kernels import reference

from .pairs import METRICS, Result, in_span, picks

ENERGY = 0.9  # of τ that gradience keeps


def small(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Picked adapters of the first and the last module in coordinates of their span: the same inner products."""
    chosen = picks(b.shape[1])
    b, a = (t[[0, -1]][:, chosen].double() for t in (b, a))
    return in_span(b), in_span(a.mT).mT


def metrics(b: Tensor, a: Tensor, size: float) -> Result:
    """What the case asks for, (2, picked, picked) each."""
    return reference.pairwise(reference.lowrank_svd(*small(b, a), size), metrics=METRICS).forward


def cosine(b: Tensor, a: Tensor, size: float) -> Result:
    """⟨τ_i, τ_j⟩ / (‖τ_i‖ ‖τ_j‖) of one module, (1, picked, picked)."""
    left, right = small(b, a)
    tau = torch.nn.functional.normalize((size * left @ right)[:1].flatten(2), dim=-1)
    return {"cosine": tau @ tau.mT}


def factor_cosine(b: Tensor, a: Tensor) -> Result:
    """The cosine of the factors of all modules as one vector an adapter, (1, picked, picked)."""
    chosen = picks(b.shape[1])
    parts = [t[:, chosen].double().transpose(0, 1).flatten(1) for t in (a, b)]
    vector = torch.nn.functional.normalize(torch.cat(parts, 1), dim=-1)
    return {"cosine": (vector @ vector.mT)[None]}


def agreement_and_overlap(b: Tensor, a: Tensor, size: float) -> Result:
    """gradience's two numbers of one module, (1, picked, picked), from dense SVDs.

    k_i is the fewest directions with ``ENERGY`` of ‖τ_i‖². Agreement: the cosine of σ_i and diag(U_iᴴ τ_j V_i), both
    cut at k_i. Overlap: the mean cosine of the principal angles between U_i cut at k_i and U_j cut at k_j.
    """
    left, right = small(b, a)
    tau = (size * left @ right)[0]
    U, S, Vh = torch.linalg.svd(tau, full_matrices=False)
    energy = S.square().cumsum(-1) / S.square().sum(-1, keepdim=True)
    kept = [int((one < ENERGY).sum()) + 1 for one in energy]
    agreement, overlap = torch.empty(len(tau), len(tau)).double(), torch.empty(len(tau), len(tau)).double()
    for i, k in enumerate(kept):
        for j, k_other in enumerate(kept):
            d = (U[i, :, :k].mT @ tau[j] @ Vh[i, :k].mT).diagonal()
            agreement[i, j] = torch.nn.functional.cosine_similarity(d, S[i, :k], dim=0)
            overlap[i, j] = torch.linalg.svdvals(U[i, :, :k].mT @ U[j, :, :k_other]).mean()
    return {"directional_agreement": agreement[None], "mean_overlap": overlap[None]}
