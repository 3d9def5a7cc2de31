"""Updates that are a function of the base weight W, out × in: dense τ, or factors where their rank is small."""

from __future__ import annotations

import torch
from torch import Tensor

from .basics import as_matrix, block_diagonal, wide


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
    rows, columns = torch.triu_indices(size, size, 1, device=vectors.device)
    upper = wide(vectors).new_zeros(vectors.shape[0], size, size)
    upper[:, rows, columns] = wide(vectors)
    return upper - upper.mT


def cayley(skew: Tensor, terms: int | None = None) -> Tensor:
    """Rotations (I − Q)(I + Q)⁻¹ of skew Q (n, b, b); with ``terms`` the series that PEFT takes in its place.

    That series is I + 2 Q + 2 Q² + … + Q^(terms − 1), the last power with weight 1; of three terms it is that of four.
    """
    identity = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device)
    if terms is None:
        rotation: Tensor = torch.linalg.solve(identity + skew, identity - skew, left=False)
        return rotation
    terms = 4 if terms == 3 else terms
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


def road(weight: Tensor, theta: Tensor, alpha: Tensor, variant: str, group: int) -> Tensor:
    """RoAd: (R − I) W; outputs j and j + group/2 of each group are turned by θ and scaled by α.

    Both are (groups, parts, group/2): of one pair ("road_1"), of each output ("road_2"), of each output for the
    cosine and for the sine ("road_4").
    """
    weight = wide(as_matrix(weight))
    parts = {"road_1": 1, "road_2": 2, "road_4": 4}[variant]
    theta, alpha = (wide(t).reshape(-1, parts, group // 2) for t in (theta, alpha))
    repeats = 2 // parts or 1
    cos, sin = ((alpha * turn).repeat(1, repeats, 1) for turn in (theta.cos(), theta.sin()))  # [groups, parts, half]
    first, second = cos[:, :2, :, None], sin[:, -2:, :, None]
    x = weight.reshape(-1, 2, group // 2, weight.shape[1])  # [groups, 2, half, in]
    turned = torch.stack([-x[:, 1], x[:, 0]], 1)
    return (first * x + second * turned).reshape(weight.shape) - weight


def inside_and_beside(weight: Tensor, a1: Tensor, a2: Tensor, b1: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
    """GLoRA of LyCORIS: W·a₁·a₂ + b₁·b₂ as one pair of factors; of older files W·a₂·a₁ + b₂·b₁."""
    if a1.shape[0] != weight.shape[1]:
        a1, a2, b1, b2 = a2, a1, b2, b1
    return torch.cat([wide(weight) @ wide(a1), wide(b1)], 1), torch.cat([wide(a2), wide(b2)])


def block_affine(weight: Tensor, block: Tensor) -> Tensor:
    """MiSS "bat": blocks W_ij (r × r) become W_ij + W_ij B_i + B_i, with B (out/r, r, r)."""
    weight, block = wide(as_matrix(weight)), wide(block)
    r = block.shape[-1]
    tiles = weight.reshape(weight.shape[0] // r, r, weight.shape[1] // r, r).permute(0, 2, 1, 3)  # [i, j, r, r]
    return (tiles @ block[:, None] + block[:, None]).permute(0, 2, 1, 3).reshape(weight.shape)
