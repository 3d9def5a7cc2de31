"""Updates that are a function of the base weight W, out × in: dense τ, or factors where their rank is small."""

from __future__ import annotations

import torch
from torch import Tensor

from .basics import as_matrix, block_diagonal, wide


def dora(weight: Tensor, low_rank: Tensor, magnitude: Tensor) -> Tensor:
    """DoRA: m/‖W + s·B·A‖ ∘ (W + s·B·A) − W, norms by row (m of ``out`` entries) or by column (``in``)."""
    weight = wide(as_matrix(weight))
    moved = weight + low_rank
    by_row = magnitude.numel() == weight.shape[0] and not (magnitude.dim() > 1 and magnitude.shape[0] == 1)
    size = moved.norm(dim=1, keepdim=True) if by_row else moved.norm(dim=0, keepdim=True)
    update: Tensor = wide(magnitude).reshape(size.shape) / size * moved - weight
    return update


def scaled_rows(weight: Tensor, factor: Tensor) -> Tensor:
    """IA3: W ∘ (l − 1) by rows, l (out,) or (out, 1)."""
    return wide(as_matrix(weight)) * (wide(factor).reshape(-1, 1) - 1)


def scaled_columns(weight: Tensor, factor: Tensor) -> Tensor:
    """IA3 of a feed-forward module: W ∘ (l − 1) by columns, l (in,) or (1, in)."""
    return wide(as_matrix(weight)) * (wide(factor).reshape(1, -1) - 1)


def householder(weight: Tensor, u: Tensor, orthogonalise: bool) -> tuple[Tensor, Tensor]:
    """HRA: W (R − I), R = Π (I − 2 u_i u_iᵀ) for unit u_i, the columns of u (in, r); rank at most r.

    R is kept as I − Z Uᵀ: a further reflection adds the column 2 R u_i to Z.
    """
    weight, u = wide(as_matrix(weight)), wide(u)
    if orthogonalise:
        y = torch.linalg.qr(u).Q
        return -2 * (weight @ y), y.mT
    u = u / u.norm(dim=0)
    z = torch.empty_like(u)
    for i in range(u.shape[1]):
        z[:, i] = 2 * (u[:, i] - z[:, :i] @ (u[:, :i].mT @ u[:, i]))
    return -(weight @ z), u.mT


def hira(weight: Tensor, b: Tensor, a: Tensor) -> Tensor:
    """HiRA: W ∘ (B A)."""
    return wide(as_matrix(weight)) * (wide(as_matrix(b)) @ wide(as_matrix(a)))


def skew_from_upper(vectors: Tensor, size: int) -> Tensor:
    """Skew matrices (n, size, size) from the entries above their diagonals, as PEFT's OFT stores them."""
    rows, columns = torch.triu_indices(size, size, 1)
    upper = wide(vectors).new_zeros(vectors.shape[0], size, size)
    upper[:, rows, columns] = wide(vectors)
    return upper - upper.mT


def cayley(skew: Tensor, terms: int | None = None) -> Tensor:
    """Rotations (I − Q)(I + Q)⁻¹ of skew Q (n, b, b); with ``terms`` the series that PEFT takes in its place.

    That series is I + 2 Q + 2 Q² + … + Q^(terms − 1), the last power with weight 1.
    """
    identity = torch.eye(skew.shape[-1], dtype=skew.dtype)
    if terms is None:
        rotation: Tensor = torch.linalg.solve(identity + skew, identity - skew, left=False)
        return rotation
    total = power = identity.expand_as(skew)
    for k in range(1, terms):
        power = power @ skew
        total = total + (1 if k == terms - 1 and k > 1 else 2) * power
    return total


def rotated_inputs(weight: Tensor, rotation: Tensor) -> Tensor:
    """W (Rᵀ − I) for block-diagonal R (n, b, b): PEFT's OFT, which turns the inputs."""
    weight = wide(as_matrix(weight))
    return weight @ block_diagonal(rotation).mT - weight


def rotated_outputs(weight: Tensor, rotation: Tensor) -> Tensor:
    """(R − I) W for block-diagonal R (n, b, b): LyCORIS's OFT, which turns the outputs."""
    weight = wide(as_matrix(weight))
    return block_diagonal(rotation) @ weight - weight


def road(weight: Tensor, theta: Tensor, alpha: Tensor, group: int) -> Tensor:
    """RoAd: (R − I) W, R = rotations of pairs (j, j + group/2) of each group of outputs, scaled by α."""
    weight = wide(as_matrix(weight))
    theta, alpha = (wide(t).reshape(-1, group // 2) for t in (theta, alpha))  # [groups, pairs]
    cos, sin = alpha * theta.cos(), alpha * theta.sin()
    first, second = weight.reshape(-1, 2, group // 2, weight.shape[1]).unbind(1)
    rows = [cos[..., None] * first - sin[..., None] * second, sin[..., None] * first + cos[..., None] * second]
    return torch.stack(rows, 1).reshape(weight.shape) - weight


def inside_and_beside(
    weight: Tensor, inside: tuple[Tensor, Tensor], beside: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """GLoRA of LyCORIS: W a₁ a₂ + b₁ b₂ as one pair of factors."""
    a1, a2, b1, b2 = (wide(as_matrix(t)) for t in (*inside, *beside))
    return torch.cat([wide(as_matrix(weight)) @ a1, b1], 1), torch.cat([a2, b2])


def block_affine(weight: Tensor, block: Tensor) -> Tensor:
    """MiSS "bat": blocks W_ij (r × r) become W_ij + W_ij B_i + B_i, with B (out/r, r, r)."""
    weight, block = wide(as_matrix(weight)), wide(block)
    r = block.shape[-1]
    tiles = weight.reshape(weight.shape[0] // r, r, weight.shape[1] // r, r).permute(0, 2, 1, 3)  # [i, j, r, r]
    return (tiles @ block[:, None] + block[:, None]).permute(0, 2, 1, 3).reshape(weight.shape)
