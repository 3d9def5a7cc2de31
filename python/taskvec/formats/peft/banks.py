"""Methods whose factors come from tensors that all modules share: VeRA, RandLoRA, VB-LoRA, UniLoRA, TinyLoRA."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

from torch import Tensor

from ...adapters import LeftOut
from ...errors import TaskvecError
from ..algebra import banks
from ..recipe import SAVE_AGAIN
from .keys import ModuleTensors, plain_path
from .method import Contents, Found, Method, names
from .scale import UNSCALED, scales
from .sizes import NO_INPUTS, inputs, sides

DRAWN = "they are drawn from a random generator (projection_prng_key), and the file was saved without them"
DRAWN_INDICES = "indices and scales are drawn from a random generator (proj_seed), and the file was saved without them"
NO_ORDER = "which of its vectors a module uses depends on the order of the model's modules, which is not in the file"
ASSUMED_ORDER = "assumed that the model has its modules in the order in which transformers builds such a layer"
# where layers are, and what a layer has, in order
LAYERS = (
    (
        "model.layers",
        "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj mlp.gate_proj mlp.up_proj mlp.down_proj",
    ),
    (
        "encoder.layer",
        "attention.self.query attention.self.key attention.self.value attention.output.dense intermediate.dense "
        "output.dense",
    ),
)
PROJECTION = names("projection_prng_key save_projection d_initial")


def read_vera(contents: Contents, prefix: str) -> Iterator[Found | list[LeftOut]]:
    """diag(λ_b) · B · diag(λ_d) · A of every module, B and A cut to its size."""
    b, a = contents.needed_of_file(f"{prefix}B", f"{prefix}A", reason=DRAWN)
    combine = pvera if prefix == "pvera_" else banks.vera
    width = contents.shape(a)[-1] if contents.shape(a) else 0
    wanted = {
        module.path: contents.needed(module, f"{prefix}lambda_b", f"{prefix}lambda_d") for module in contents.modules
    }
    outs = {plain_path(path): next(iter(contents.shape(pair[0])), 0) for path, pair in wanted.items()}
    sizes = _vera_inputs(outs, width)
    for path in outs:
        if (known := contents.sides(path)) is not None:
            sizes[path] = (known[1], ())
    for path, pair in wanted.items():
        if (found := sizes[plain_path(path)]) is None:
            yield [LeftOut(name, NO_INPUTS) for name in pair]
            continue
        size, warnings = found
        recipe = contents.recipe((*pair, b, a), partial(combine, inputs=size))
        yield Found(path, recipe, UNSCALED, warnings)


def _vera_inputs(outs: Mapping[str, int], width: int) -> dict[str, tuple[int, tuple[str, ...]] | None]:
    """The inputs of every module: A's width, the largest of all, where all modules take the same."""
    kinds = {path.rpartition(".")[2] for path in outs}
    taken = {known.inputs if (known := sides(path)) else path for path in outs}
    if len(kinds) == 1 or taken == {"hidden"}:
        return dict.fromkeys(outs, (width, ()))
    found = {path: inputs(path, outs) for path in outs}
    if max((size for size, _ in filter(None, found.values())), default=0) != width:
        return dict.fromkeys(outs, None)
    return {path: None if item is None else (item[0], (item[1],)) for path, item in found.items()}


def pvera(lambda_b: Tensor, lambda_d: Tensor, shared_b: Tensor, shared_a: Tensor, inputs: int) -> tuple[Tensor, Tensor]:
    """PVeRA without its noise: the first half of λ_d and of A is the mean."""
    half = lambda_d.shape[0] // 2
    return banks.vera(lambda_b, lambda_d[:half], shared_b, shared_a[: shared_a.shape[0] // 2], inputs)


def read_randlora(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """Random bases that are weighted and added up: dense."""
    b, a = contents.needed_of_file("randlora_B", "randlora_A", reason=DRAWN)
    longest = next(iter(contents.shape(b)), 0)
    wanted = {module.path: contents.needed(module, "randlora_lambda", "randlora_gamma") for module in contents.modules}
    shorter = {plain_path(path): (contents.shape(pair[1]) or (0,))[-1] for path, pair in wanted.items()}
    scale_of = scales(contents.config, dict.fromkeys(wanted), "randlora_alpha")
    for path, pair in wanted.items():
        known = contents.sides(plain_path(path))
        shape = (known, ()) if known else _randlora_shape(plain_path(path), shorter, longest)
        if shape is None:
            yield [
                LeftOut(name, "its shape is in no tensor, and the file's other modules do not tell it") for name in pair
            ]
            continue
        (out, size), warnings = shape
        recipe = contents.recipe((b, a, *pair), partial(banks.randlora, out=out, inputs=size))
        yield Found(path, recipe, scale_of[path], warnings)


def _randlora_shape(
    path: str, shorter: Mapping[str, int], longest: int
) -> tuple[tuple[int, int], tuple[str, ...]] | None:
    """Outputs and inputs of a module, of which the file has the shorter side, and the longest side of all."""
    small, known = shorter[path], sides(path)
    if small == longest:
        return (small, small), ()
    if known is None:
        return None
    # queries, fused projections and feed-forward modules have the hidden size as their shorter side
    shown = {side for other, side in shorter.items() if (of := sides(other)) and "kv" not in of}
    hidden = max(shown) if shown else longest
    if "kv" in known:
        sizes = (small, hidden)
    elif known == ("heads", "hidden") or known == ("hidden", "heads"):
        sizes = (small, small)
    else:
        sizes = (longest, small) if known.inputs == "hidden" else (small, longest)
    return sizes, (f"assumed {sizes[0]} outputs and {sizes[1]} inputs: which side is which is in no tensor",)


def read_vblora(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """Factors of sub-vectors that are mixed from a bank, the last weight of each what the others leave of 1."""
    (bank,) = contents.needed_of_file("vblora_vector_bank", reason="the vectors that all modules mix are missing")
    vectors = next(iter(contents.shape(bank)), 0)
    kept = ("_topk_indices", "_topk_weights")
    for module in contents.modules:
        if any(f"vblora_logits_A{end}" in module.names for end in kept):
            wanted = contents.needed(module, *(f"vblora_logits_{side}{end}" for side in "AB" for end in kept))
            indices = dict.fromkeys(wanted[::2], vectors)
            recipe = contents.recipe((bank, *wanted), vblora_of_weights, indices=indices)
        else:
            wanted = contents.needed(module, "vblora_logits_A", "vblora_logits_B")
            recipe = contents.recipe((bank, *wanted), partial(vblora_of_logits, k=contents.config.rank("topk")))
            _same_bank(contents, wanted, vectors)
        yield Found(module.path, recipe, UNSCALED)


def _same_bank(contents: Contents, logits: tuple[str, ...], vectors: int) -> None:
    for name in logits:
        if contents.shape(name)[-1:] != (vectors,):
            what, expected = f"has {name} of another bank", f"{vectors} logits"
            raise TaskvecError(what, where=contents.file.path, expected=expected, fix=SAVE_AGAIN)


def vblora_of_weights(
    bank: Tensor, indices_a: Tensor, weights_a: Tensor, indices_b: Tensor, weights_b: Tensor
) -> tuple[Tensor, Tensor]:
    """Factors from what save_only_topk_weights leaves."""
    of_a, of_b = banks.topk_of_weights(indices_a, weights_a), banks.topk_of_weights(indices_b, weights_b)
    return banks.vblora(bank, of_a, of_b)


def vblora_of_logits(bank: Tensor, logits_a: Tensor, logits_b: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Factors from all logits."""
    return banks.vblora(bank, banks.topk_of_logits(logits_a, k), banks.topk_of_logits(logits_b, k))


def read_unilora(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """Factors whose entries are entries of one vector θ."""
    (theta,) = contents.needed_of_file("unilora_theta_d", reason="the vector that all modules share is missing")
    length = next(iter(contents.shape(theta)), 0)
    for module in contents.modules:
        roles = ("unilora_indices_A", "unilora_scales_A", "unilora_indices_B", "unilora_scales_B")
        wanted = contents.needed(module, *roles)
        recipe = contents.recipe((theta, *wanted), unilora, indices=dict.fromkeys(wanted[::2], length))
        yield Found(module.path, recipe, UNSCALED)


def unilora(
    theta: Tensor, indices_a: Tensor, scales_a: Tensor, indices_b: Tensor, scales_b: Tensor
) -> tuple[Tensor, Tensor]:
    """Factors of θ's entries."""
    return banks.unilora(theta, (indices_a, scales_a), (indices_b, scales_b))


def read_tinylora(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """B · (Σ v_u P_u) · A, v shared by groups of modules."""
    numbers = {role: role.partition(".")[2] for role in contents.shared}
    groups = sorted((int(number), role) for role, number in numbers.items() if re.fullmatch("[0-9]{1,9}", number))
    if not groups:
        contents.needed_of_file("tinylora_v", reason="the vectors that modules share are missing")
    vectors = contents.needed_of_file(*(role for _, role in groups), reason="")
    paths = [module.path for module in contents.modules]
    order, notes = _order(paths)
    if len(groups) > 1 and not order:
        raise TaskvecError(f"is a TinyLoRA adapter: {NO_ORDER}", where=contents.file.path, fix="leave it out")
    paths = order or paths
    notes = notes if len(groups) > 1 else ()
    size = max(1, len(paths) // len(groups))
    vector_of = {path: vectors[min(i // size, len(groups) - 1)] for i, path in enumerate(paths)}
    for module in contents.modules:
        if "tinylora_P" not in module.names:
            raise _undrawn(contents, module)
        wanted = contents.needed(module, "tinylora_B", "tinylora_A", "tinylora_P")
        yield Found(module.path, contents.recipe((*wanted, vector_of[module.path]), banks.tinylora), UNSCALED, notes)


def _order(paths: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """The modules in their model's order, and a warning where that is assumed; none where nothing tells it.

    Modules of one kind, one to a layer, go by their layers' numbers. Those of several kinds have the order in which
    transformers builds a layer of Llama's or of BERT's family.
    """
    alike = {re.sub("[0-9]+", "0", path) for path in paths}
    if not all(len(re.findall("[0-9]+", path)) == 1 for path in paths):
        return [], ()
    layer_of = {path: int(re.findall("[0-9]+", path)[0]) for path in paths}
    if len(alike) == 1:
        return sorted(paths, key=lambda path: layer_of[path]), ()
    for layers, kinds in LAYERS:
        place = {kind: i for i, kind in enumerate(kinds.split())}
        kind_of = {path: path.partition(f"{layers}.{layer_of[path]}.")[2] for path in paths}
        if all(kind in place for kind in kind_of.values()):
            return sorted(paths, key=lambda path: (layer_of[path], place[kind_of[path]])), (ASSUMED_ORDER,)
    return [], ()


def _undrawn(contents: Contents, module: ModuleTensors) -> TaskvecError:
    what = f"has no tinylora_P for {module.path}: {DRAWN}"
    return TaskvecError(what, where=contents.file.path, fix="leave it out, or save it with its projections")


VERA, PVERA = (
    Method(
        title=title,
        prefix=prefix,
        roles=names(f"{prefix}lambda_b {prefix}lambda_d"),
        read=partial(read_vera, prefix=prefix),
        shared=names(f"{prefix}A {prefix}B"),
        fields=PROJECTION | names(f"{prefix}dropout sample_at_inference generator_seed"),
    )
    for title, prefix in (("VeRA", "vera_"), ("PVeRA", "pvera_"))
)
RANDLORA = Method(
    title="RandLoRA",
    prefix="randlora_",
    roles=names("randlora_lambda randlora_gamma"),
    read=read_randlora,
    shared=names("randlora_A randlora_B"),
    fields=PROJECTION | names("randlora_alpha randlora_dropout sparse very_sparse"),
)
VBLORA = Method(
    title="VB-LoRA",
    prefix="vblora_",
    roles=frozenset(f"vblora_logits_{side}{end}" for side in "AB" for end in ("", "_topk_indices", "_topk_weights")),
    read=read_vblora,
    shared=names("vblora_vector_bank"),
    fields=names("""
        num_vectors vector_length topk save_only_topk_weights vblora_dropout init_vector_bank_bound init_logits_std
    """),
)
UNILORA = Method(
    title="UniLoRA",
    prefix="unilora_",
    roles=names("unilora_indices_A unilora_indices_B unilora_scales_A unilora_scales_B"),
    read=read_unilora,
    shared=names("unilora_theta_d"),
    fields=names("proj_seed theta_d_length unilora_dropout init_theta_d_bound save_indices"),
)
TINYLORA = Method(
    title="TinyLoRA",
    prefix="tinylora_",
    roles=names("tinylora_A tinylora_B tinylora_P"),
    read=read_tinylora,
    shared=names("tinylora_v"),
    numbered=names("tinylora_v"),
    fields=names("u weight_tying projection_seed save_projection init_v_bound tinylora_dropout"),
)
