"""Methods that turn the base weight W, out × in: by rotations of blocks, by reflections, by angles."""

from __future__ import annotations

import torch
from torch import Tensor

from .basics import as_matrix, block_diagonal, wide


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


def constrained(skew: Tensor, radius: float) -> Tensor:
    """Constrained OFT: skew blocks (n, b, b) shortened to radius / √n, as the client does at every step."""
    limit = radius / skew.shape[0] ** 0.5
    size = skew.norm(dim=(1, 2), keepdim=True)
    return torch.where(size <= limit, skew, limit * skew / size)


def butterfly(weight: Tensor, blocks: Tensor, scale: Tensor) -> Tensor:
    """BOFT: diag(s) W Mᵀ − W, M a product of block rotations in ever wider orders of the inputs.

    blocks: (factors, n, b, b), whose skew parts give the rotations; scale: one number for each output.
    """
    weight = wide(as_matrix(weight))
    factors, count, size = blocks.shape[:3]
    rotations = cayley((wide(blocks) - wide(blocks).mT) / 2)
    turned = weight
    for level, rotation in enumerate(rotations):
        order = butterfly_order(weight.shape[1], count >> level, size // 2 if factors > 1 else 0).to(weight.device)
        apart = turned[:, order.argsort()].reshape(-1, count, size)
        turned = torch.einsum("mcs,cts->mct", apart, rotation).flatten(1)[:, order]
    return wide(scale).reshape(-1, 1) * turned - weight


def butterfly_outputs(weight: Tensor, rotations: Tensor) -> Tensor:
    """BOFT of LyCORIS: (R − I) W, R a product of rotations (factors, n, b, b) of outputs, ever farther apart."""
    weight = wide(as_matrix(weight))
    turned = weight
    for level, rotation in enumerate(rotations):
        size, inputs = rotation.shape[-1], weight.shape[1]
        half = size // 2 << level
        together = turned.reshape(-1, 2, half, inputs).transpose(1, 2).reshape(-1, size, inputs)
        turned = (rotation @ together).reshape(-1, half, 2, inputs).transpose(1, 2).flatten(0, 2)
    return turned - weight


def butterfly_order(inputs: int, parts: int, half: int) -> Tensor:
    """Where each input goes before a factor of BOFT: in each part runs of ``half``, the even before the odd."""
    places = torch.arange(inputs)
    if not half:
        return places
    runs = places.reshape(parts, -1, half)
    return torch.cat([runs[:, ::2], runs[:, 1::2]], 1).flatten()
