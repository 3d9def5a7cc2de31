"""PEFT methods that work on subspaces of the base weight: AdaMSS, DEFT, FRoD, OSF, PEANuT, PSOFT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...adapters import LeftOut
from ...errors import TaskvecError
from ..algebra import subspaces
from ..algebra.clusters import kmeans
from ..checkpoint import Weight
from ..recipe import check_values
from .keys import plain_path
from .method import Contents, Found, Method, names
from .scale import UNSCALED, Scale

Stream = Iterator[Found | list[LeftOut]]
Factors = tuple[Tensor, Tensor]
# transformers' names of activations that need no numbers of their own
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": partial(functional.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),
    "leaky_relu": functional.leaky_relu,
    "linear": torch.clone,
    "mish": functional.mish,
    "relu": torch.relu,
    "relu6": functional.relu6,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "swish": functional.silu,
    "tanh": torch.tanh,
}
OF_ALL_LAYERS = "they are made from all layers of the base at once, and the file was saved without them"
SIGNS = "the signs of the base's singular directions are in no file: taken as the SVD gives them here, as PEFT does"
OTHER_BASE = "is an AdaMSS adapter of other directions than this base has by {0}"
SAME_BASE = "give the base that it was trained on; an adapter that was trained on a GPU has a random draw of its own"


def read_adamss(contents: Contents) -> Stream:
    """Blocks of rows, each a cluster of the base's leading directions, which is found again as the client does."""
    config = contents.config
    for module in contents.modules:
        numbers = sorted({int(role.partition(".")[2]) for role in module.names if "." in role})
        roles = [f"adamss_{side}.{number}" for side in "AB" for number in numbers]
        wanted = contents.needed(module, "adamss_newB", *roles)
        weight = contents.weight(module)
        sizes = [next(iter(contents.shape(name)), 0) for name in wanted[1 + len(numbers) :]]
        check_values(contents.file, wanted[0])
        seed = config.document.get("random_seed", 0)
        rows = _clustered(contents, wanted[0], weight, sizes, seed if type(seed) is int else 0)
        combine = partial(subspaces.adamss, inputs=weight.shape[1], rows=rows)
        yield Found(module.path, contents.recipe(wanted, combine), UNSCALED)


def _clustered(contents: Contents, name: str, weight: Weight, sizes: list[int], seed: int) -> Tensor:
    """Rows of the weight, block after block, as k-means of its leading left directions gives them."""
    shape = contents.shape(name)
    whole = _with_bias(weight, shape)
    if whole is None or len(shape) != 2:
        got = f"{shape[-1] if shape else 0} inputs with the bias, not {weight.shape[1]}"
        raise TaskvecError(OTHER_BASE.format("size"), where=contents.file.path, got=got, fix=SAME_BASE)
    u, _, vh = subspaces.drawn_principal(whole, min(shape[0], *whole.shape), 2, seed)
    found = contents.file.tensor(name).float()
    if found.shape != vh.shape or float((found - vh).norm()) > 0.05 * float(vh.norm()):
        raise TaskvecError(OTHER_BASE.format(name), where=contents.file.path, fix=SAME_BASE)
    labels = torch.from_numpy(kmeans(u.contiguous().numpy(), min(len(sizes), len(u))))
    if torch.bincount(labels, minlength=len(sizes)).tolist() != sizes:
        got = f"blocks of {', '.join(map(str, sizes[:5]))} rows"
        raise TaskvecError(OTHER_BASE.format("clusters"), where=contents.file.path, got=got, fix=SAME_BASE)
    return labels.argsort(stable=True)


def _with_bias(weight: Weight, shape: tuple[int, ...]) -> Tensor | None:
    """The base's weight, with its bias as one more input where the adapter has that; None if neither fits."""
    matrix = weight().float()
    if shape[-1:] == (matrix.shape[1],):
        return matrix
    file, name = weight.checkpoint.file, f"{weight.name.removesuffix('weight')}bias"
    if shape[-1:] != (matrix.shape[1] + 1,) or file.shapes.get(name) != (matrix.shape[0],):
        return None
    return torch.cat([matrix, file.tensor(name).float()[:, None]], 1)


def read_deft(contents: Contents) -> Stream:
    """A subspace of the outputs in which the weight is replaced, or (PaRa) taken off."""
    config = contents.config
    method = config.document.get("decomposition_method", "relu")
    if method not in ("relu", "qr"):
        raise config.wrong("decomposition_method", method, "relu or qr")
    alpha = config.number("alpha") if config.document.get("alpha") else None
    for module in contents.modules:
        wanted = contents.needed(module, "deft_P", *([] if config.flag("para") else ["deft_R"]))
        scale = alpha / (*contents.shape(wanted[0]), 1, 1)[1] if alpha else 1.0
        combine = partial(deft, scale=scale, orthogonal=method == "qr")
        yield Found(module.path, contents.recipe(wanted, combine, weight=contents.weight(module)), UNSCALED)


def deft(weight: Tensor, p: Tensor, r: Tensor | None = None, *, scale: float, orthogonal: bool) -> Factors:
    """DEFT, or without R PaRa."""
    return subspaces.deft(weight, p, r, scale, orthogonal)


def read_frod(contents: Contents) -> Stream:
    """Directions that the layers of one kind share, and which are saved once for them."""
    for module in contents.modules:
        kind = frod_kind(plain_path(module.path))
        (v,) = contents.needed_of_file(f"frod_V.{kind}", reason=OF_ALL_LAYERS)
        places = contents.shared.get(f"frod_s_indices.{kind}")
        if places is None:
            contents.needed_of_file(f"frod_s_indices.{kind}", reason=OF_ALL_LAYERS)
            continue
        size, values = contents.needed(module, "frod_lambda_l", "frod_lambda_s_values")
        inputs = next(iter(contents.shape(v)), 0)
        indices = {places: max(inputs, 1)} if all(contents.shape(places)) else None
        recipe = contents.recipe(
            (v, size, places, values), subspaces.frod, indices=indices, weight=contents.weight(module)
        )
        yield Found(module.path, recipe, UNSCALED)


def frod_kind(path: str) -> str:
    """What PEFT calls the layers that share directions with the module at a path."""
    *_, third, second, last = ("", "", *path.split("."))
    if not second or second.isdecimal():
        return last
    return "attention_output" if (third, second, last) == ("attention", "output", "dense") else f"{second}_{last}"


def read_osf(contents: Contents) -> Stream:
    """The smallest singular components of the weight, which are trained."""
    for module in contents.modules:
        wanted = contents.needed(module, *(f"osf_svd_params.{part}_low" for part in "USV"))
        yield Found(module.path, contents.recipe(wanted, subspaces.osf, weight=contents.weight(module)), UNSCALED)


def read_peanut(contents: Contents) -> Stream:
    """A small network whose input is the weight."""
    config = contents.config
    name = config.document.get("act_fn", "relu")
    activation = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if activation is None:
        raise config.wrong("act_fn", name, f"one of {', '.join(sorted(ACTIVATIONS))}")
    scale = Scale(config.number("scaling"), None, "scaling")
    depth = config.count("depth")
    for module in contents.modules:
        layers = (f"peanut_{kind}.{i}" for kind in ("encoders", "decoders") for i in range(depth))
        wanted = contents.needed(module, "peanut_B", "peanut_A", *layers)
        combine = partial(subspaces.peanut, activation=activation)
        recipe = contents.recipe(wanted, combine, weight=contents.weight(module))
        yield Found(module.path, replace(recipe, scale=scale.value), scale)


def read_psoft(contents: Contents) -> Stream:
    """The leading singular directions of the weight, turned."""
    config, document = contents.config, contents.config.document
    svd, start = document.get("psoft_svd", "full"), document.get("ab_svd_init", "psoft_init")
    if svd not in ("full", "lowrank"):
        raise config.wrong("psoft_svd", svd, "full or lowrank")
    if start not in ("psoft_init", "pissa_init"):
        raise config.wrong("ab_svd_init", start, "psoft_init or pissa_init")
    principal: Callable[[Tensor, int], Any] = subspaces.exact_principal
    if svd == "lowrank":
        seed = document.get("random_seed", 0)
        rounds = config.count("psoft_svd_lowrank_niter")
        principal = partial(subspaces.drawn_principal, rounds=rounds, seed=seed if type(seed) is int else 0)
    combine = partial(
        psoft,
        size=config.rank("r"),
        terms=config.rank("num_cayley_neumann_terms") if config.flag("use_cayley_neumann") else None,
        radius=config.number("cayley_neumann_eps") if document.get("cayley_neumann_eps") is not None else None,
        balanced=start == "pissa_init",
        principal=principal,
    )
    for module in contents.modules:
        sides = [side for side in "ba" if f"psoft_R.vector_{side}" in module.names]
        wanted = contents.needed(module, "psoft_R.weight", *(f"psoft_R.vector_{side}" for side in sides))
        recipe = contents.recipe(wanted, partial(combine, sides="".join(sides)), weight=contents.weight(module))
        yield Found(module.path, recipe, UNSCALED, (SIGNS,))


def psoft(
    weight: Tensor,
    matrix: Tensor,
    *scales: Tensor,
    size: int,
    terms: int | None,
    radius: float | None,
    balanced: bool,
    principal: Callable[[Tensor, int], Any],
    sides: str,
) -> Factors:
    """PSOFT of a rotation, or of any matrix, with its rows ("b") and its columns ("a") scaled."""
    turned = subspaces.rotation_of(matrix, size, terms, radius) if matrix.dim() == 1 else matrix.float()
    for side, scale in zip(sides, scales, strict=True):
        turned = turned * (scale[:, None] if side == "b" else scale)
    return subspaces.psoft(weight, turned - torch.eye(size, device=turned.device), balanced, principal)


ADAMSS = Method(
    title="AdaMSS",
    prefix="adamss_",
    roles=names("adamss_A adamss_B adamss_newB"),
    numbered=names("adamss_A adamss_B"),
    read=read_adamss,
    on_base="AdaMSS works on clusters of the base weight's directions",
    fields=names("""
        num_subspaces subspace_rank use_asa asa_target_subspaces init_warmup final_warmup mask_interval
        asa_importance_beta asa_uncertainty_beta asa_schedule_exponent use_dynamic_rank svd_threshold random_seed
    """),
)
DEFT = Method(
    title="DEFT",
    prefix="deft_",
    roles=names("deft_P deft_R"),
    read=read_deft,
    on_base="DEFT takes a subspace off the base weight",
    fields=names("decomposition_method init_scale alpha para deft_dropout"),
)
FROD = Method(
    title="FRoD",
    prefix="frod_",
    roles=names("frod_lambda_l frod_lambda_s_values"),
    shared=names("frod_V frod_s_indices frod_s_size"),
    numbered=names("frod_V frod_s_indices frod_s_size"),
    read=read_frod,
    on_base="FRoD works on directions of the base weight",
    fields=names("""
        projection_prng_key save_projection frod_dropout sparse_rate regularization_alpha progressbar
        runtime_offload_base_weight
    """),
)
OSF = Method(
    title="OSF",
    prefix="osf_",
    roles=frozenset(f"osf_svd_params.{part}_low" for part in "USV") | {"osf_svd_params"},
    numbered=names("osf_svd_params"),
    read=read_osf,
    on_base="OSF replaces singular components of the base weight",
    fields=names("effective_rank target_svd_config"),
)
PEANUT = Method(
    title="PEANuT",
    prefix="peanut_",
    roles=names("peanut_A peanut_B peanut_encoders peanut_decoders"),
    numbered=names("peanut_encoders peanut_decoders"),
    read=read_peanut,
    on_base="PEANuT computes the update from the base weight",
    fields=names("depth act_fn scaling"),
)
PSOFT = Method(
    title="PSOFT",
    prefix="psoft_",
    roles=frozenset(f"psoft_R.{part}" for part in ("weight", "vector_a", "vector_b")) | {"psoft_R"},
    numbered=names("psoft_R"),
    read=read_psoft,
    on_base="PSOFT turns leading directions of the base weight",
    fields=names("""
        psoft_alpha psoft_dropout ab_svd_init psoft_svd psoft_svd_lowrank_niter random_seed psoft_orth psoft_mag_a
        psoft_mag_b use_cayley_neumann num_cayley_neumann_terms cayley_neumann_eps
    """),
)
