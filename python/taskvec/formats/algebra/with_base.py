"""Updates that are a function of the base weight W, out × in: dense τ, or factors where their rank is small."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .basics import as_matrix, wide
from .lora import with_mid


def dora(weight: Tensor, low_rank: Tensor, magnitude: Tensor, by_row: bool) -> Tensor:
    """DoRA: m/‖W + s·B·A‖ ∘ (W + s·B·A) − W, a norm for each output or, in older files, for each input."""
    weight = wide(as_matrix(weight))
    moved = weight + low_rank
    factor: Tensor
    if by_row:
        factor = wide(magnitude).reshape(-1, 1) / moved.norm(dim=1, keepdim=True)
        return factor * moved - weight
    # an input of a convolution has a kernel of entries in every row
    kernels = moved.reshape(moved.shape[0], magnitude.numel(), -1)
    factor = wide(magnitude).reshape(1, -1, 1) / kernels.norm(dim=(0, 2), keepdim=True)
    return (factor * kernels).reshape(moved.shape) - weight


def kasa(weight: Tensor, b: Tensor, diagonal: Tensor, a: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """KaSA: s·B·diag(e)·A, less the r smallest singular components of W, which its start took off."""
    u, s, vh = torch.linalg.svd(wide(as_matrix(weight)), full_matrices=False)
    r = a.shape[0]
    if r >= s.shape[0]:
        raise ValueError("as many components as the weight has")
    left = torch.cat([scale * wide(b) * wide(diagonal).reshape(1, -1), -u[:, -r:] * s[-r:]], 1)
    return left, torch.cat([wide(a), vh[-r:]])


def without_principal(weight: Tensor, b: Tensor, a: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """PiSSA: s·B·A less the r largest singular components of W, from which it started."""
    u, s, vh = torch.linalg.svd(wide(as_matrix(weight)), full_matrices=False)
    r = a.shape[0]
    return torch.cat([scale * wide(b), -u[:, :r] * s[:r]], 1), torch.cat([wide(a), vh[:r]])


def share_of_draw(weight: Tensor, b: Tensor, a: Tensor, scale: float, rounds: int) -> float:
    """How far two draws of a randomised SVD's r leading components differ, as a share of s·B·A less the exact ones."""
    weight, draws = wide(as_matrix(weight)), []
    for seed in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            u, s, v = torch.svd_lowrank(weight, q=a.shape[0], niter=rounds)
        draws.append(u * s @ v.mT)
    left, right = without_principal(weight, b, a, scale)
    return float((draws[0] - draws[1]).norm() / (left @ right).norm().clamp(min=1e-30))


def without_orthogonal(weight: Tensor, b: Tensor, a: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """OLoRA: s·(B·A − Q[:, :r] R[:r]) of W = Q R, from which it started."""
    q, upper = torch.linalg.qr(wide(as_matrix(weight)))
    r = a.shape[0]
    return torch.cat([scale * wide(b), -scale * q[:, :r]], 1), torch.cat([wide(a), upper[:r]])


def replaced_columns(weight: Tensor, rows: Tensor, places: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Trainable tokens: columns of an embedding (dim, vocabulary) that are replaced by rows (k, dim)."""
    weight = wide(weight)
    index = torch.tensor(places, device=weight.device)
    if rows.shape[0] != len(places) or (places and not 0 <= min(places) <= max(places) < weight.shape[1]):
        raise ValueError("one row for each token of the vocabulary")
    a = weight.new_zeros(len(places), weight.shape[1])
    a[torch.arange(len(places)), index] = 1
    return wide(rows).mT - weight[:, index], a


def scaled_entries(weight: Tensor, inside: Tensor, beside: Tensor) -> Tensor:
    """GLoRA of PEFT: W ∘ A + B, each a matrix, a vector, one number, or zero."""
    weight = wide(as_matrix(weight))
    return weight * wide(inside) + wide(beside)


def scaled(weight: Tensor, factor: Tensor, by_row: bool, less: float) -> Tensor:
    """IA3: W ∘ (l − 1), a factor for each output or each input; ``less`` is 0 where l − 1 itself is stored."""
    weight, count = wide(as_matrix(weight)), factor.numel()
    if count != weight.shape[0] if by_row else weight.shape[1] % count:
        raise ValueError("one factor for each output, or each input")
    # an input of a convolution has a kernel of entries in every row
    parts = weight.reshape(weight.shape[0], 1 if by_row else count, -1)
    return (parts * (wide(factor).reshape((-1, 1, 1) if by_row else (1, -1, 1)) - less)).reshape(weight.shape)


def replaced(weight: Tensor, new: Tensor) -> Tensor:
    """A weight that takes the base's place."""
    return wide(as_matrix(new)) - wide(as_matrix(weight))


def hira(weight: Tensor, b: Tensor, a: Tensor) -> Tensor:
    """HiRA: W ∘ (B A)."""
    return wide(as_matrix(weight)) * (wide(as_matrix(b)) @ wide(as_matrix(a)))


def inside_and_beside(
    weight: Tensor, a1: Tensor, a2: Tensor, b1: Tensor, b2: Tensor, bm: Tensor | None = None
) -> tuple[Tensor, Tensor] | Tensor:
    """GLoRA of LyCORIS: W·a₁·a₂ + b₁·b₂ as one pair of factors; of older files W·a₂·a₁ + b₂·b₁.

    Of convolutions, whose kernel b₂ (or, in Tucker form, bm) has, a₁·a₂ mixes the inputs at each place of it: dense.
    """
    weight = wide(as_matrix(weight))
    kernel = 1 if bm is None and b2.dim() == 2 else math.prod((b2 if bm is None else bm).shape[2:])
    if a1.shape[0] * kernel != weight.shape[1]:
        a1, a2, b1, b2 = a2, a1, b2, b1
        kernel = max(kernel, math.prod(b2.shape[2:]))
    inside = [wide(as_matrix(t)) for t in (a1, a2)]
    beside = (as_matrix(b1), as_matrix(b2)) if bm is None else with_mid(b1, bm, b2)
    if kernel == 1:
        return torch.cat([weight @ inside[0], wide(beside[0])], 1), torch.cat([inside[1], wide(beside[1])])
    mixed = torch.einsum("oik,ir,rj->ojk", weight.reshape(weight.shape[0], -1, kernel), *inside).flatten(1)
    return mixed + wide(beside[0]) @ wide(beside[1])


def block_affine(weight: Tensor, block: Tensor) -> Tensor:
    """MiSS "bat": blocks W_ij (r × r) become W_ij + W_ij B_i + B_i, with B (out/r, r, r)."""
    weight, block = wide(as_matrix(weight)), wide(block)
    r = block.shape[-1]
    tiles = weight.reshape(weight.shape[0] // r, r, weight.shape[1] // r, r).permute(0, 2, 1, 3)  # [i, j, r, r]
    return (tiles @ block[:, None] + block[:, None]).permute(0, 2, 1, 3).reshape(weight.shape)
