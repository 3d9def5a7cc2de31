"""Methods that work on blocks and entries of the weight: MiSS, C3A, SHiRA, Super."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from ...adapters import LeftOut
from ...errors import TaskvecError
from ..algebra import blocks, with_base
from ..algebra.basics import wide
from ..format import GIVE_BASE, NEEDS_BASE
from ..recipe import SAVE_AGAIN, check_indices
from .keys import plain_path
from .method import Contents, Found, Method, names
from .scale import UNSCALED
from .sizes import NO_INPUTS, inputs

NO_OUTPUTS = 'its number of outputs is in no tensor (MiSS "mini"): needs the base\'s shapes'
NO_SHAPE = "its places are numbered through the whole weight, whose shape is in no tensor: needs the base's shapes"


def read_miss(contents: Contents, role: str) -> Iterator[Found | list[LeftOut]]:
    """One block repeated along the inputs."""
    start = contents.config.document.get("init_weights")
    if start == "bat":
        yield from _read_bat(contents, role)
        return
    wanted = {module.path: contents.needed(module, role) for module in contents.modules}
    outs = {plain_path(path): contents.shape(name)[-1] for path, (name,) in wanted.items() if contents.shape(name)}
    for path, pair in wanted.items():
        if (known := contents.sides(plain_path(path))) is not None:
            combine = partial(miss, shape=known)
            yield Found(path, contents.recipe(pair, combine), UNSCALED)
            continue
        if start == "mini":
            yield [LeftOut(name, NO_OUTPUTS) for name in pair]
            continue
        found = inputs(plain_path(path), outs)
        if found is None:
            yield [LeftOut(name, NO_INPUTS) for name in pair]
            continue
        size, warning = found
        yield Found(path, contents.recipe(pair, partial(blocks.miss, inputs=size)), UNSCALED, (warning,))


def _read_bat(contents: Contents, role: str) -> Iterator[Found | list[LeftOut]]:
    """Blocks of the weight that are mixed: W_ij B_i + B_i."""
    if contents.options.base is None:
        what = f'is a MiSS adapter of kind "bat": its update {NEEDS_BASE}'
        raise TaskvecError(what, where=contents.config.path, fix=GIVE_BASE)
    for module in contents.modules:
        pair = contents.needed(module, role)
        recipe = contents.recipe(pair, with_base.block_affine, weight=contents.weight(module))
        yield Found(module.path, recipe, UNSCALED)


def miss(block: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """MiSS of a weight whose shape is known: a short block ("mini") is repeated along the outputs."""
    repeats, rest = divmod(shape[0], block.shape[1])
    if rest:
        raise ValueError("a whole number of blocks")
    return blocks.miss(block, shape[1], repeats)


def read_c3a(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """Circulant blocks: dense."""
    for module in contents.modules:
        yield Found(module.path, contents.recipe(contents.needed(module, "c3a_kernel"), blocks.c3a), UNSCALED)


def read_shira(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """Values at places: dense."""
    for module in contents.modules:
        places, values = contents.needed(module, "shira_indices", "shira_weight")
        check_indices(contents.file, places, 1 << 31)
        shape, warnings = _shira_shape(contents, places)
        recipe = contents.recipe((places, values), partial(blocks.scattered, shape=shape), indices={places: 1 << 31})
        yield Found(module.path, recipe, UNSCALED, warnings)


def _shira_shape(contents: Contents, places: str) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Outputs and inputs: PEFT takes r (out + in) places, and each is inside."""
    size = contents.shape(places)
    if len(size) != 2 or size[0] != 2 or not size[1]:
        what, expected = f"has {places}", "rows and columns, (2, count)"
        raise TaskvecError(what, where=contents.file.path, got=str(size), expected=expected, fix=SAVE_AGAIN)
    rows, columns = (int(last) + 1 for last in contents.file.tensor(places).amax(1))
    both, rest = divmod(size[1], contents.config.rank("r"))
    slack = both - rows - columns
    if rest or slack < 0:
        return (rows, columns), (f"assumed {rows} outputs and {columns} inputs: the last place that is used",)
    if slack == 0:
        return (rows, columns), ()
    # a square weight, or one that its last rows and columns were missed of
    out = both // 2 if both % 2 == 0 and max(rows, columns) <= both // 2 else rows
    return (out, both - out), (f"assumed {out} outputs and {both - out} inputs: the file has their sum only",)


def read_super(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """Values at places of the flattened weight beside a plain B · A, which gives the shape: dense."""
    config = contents.config
    for module in contents.modules:
        places, values = contents.needed(module, "supertuning_indices", "supertuning_values")
        if not {"supertuning_lora_A", "supertuning_lora_B"} & module.names.keys():
            yield [LeftOut(name, NO_SHAPE) for name in (places, values)]
            continue
        b, a = contents.needed(module, "supertuning_lora_B", "supertuning_lora_A")
        entries = (*contents.shape(b), 0)[0] * (contents.shape(a) or (0,))[-1]
        scale = config.number("lora_alpha") / config.rank("r")
        recipe = contents.recipe((places, values, b, a), partial(super_update, scale=scale), indices={places: entries})
        yield Found(module.path, recipe, UNSCALED)


def super_update(places: Tensor, values: Tensor, b: Tensor, a: Tensor, scale: float) -> Tensor:
    """s · B · A with values added at places of the flattened weight."""
    if values.shape != places.shape or places.dim() != 1:
        raise ValueError("one value for each place")
    tau = scale * (wide(b) @ wide(a))
    return torch.index_add(tau.flatten(), 0, places.long(), values.to(tau.dtype)).view(tau.shape)


MISS, BONE = (
    Method(
        title=title,
        prefix=prefix,
        roles=names(f"{prefix}block"),
        read=partial(read_miss, role=f"{prefix}block"),
        fields=names("miss_dropout mini_r"),
    )
    for title, prefix in (("MiSS", "miss_"), ("Bone", "bone_"))
)
C3A = Method(
    title="C3A",
    prefix="c3a_",
    roles=names("c3a_kernel"),
    read=read_c3a,
    fields=names("block_size block_size_pattern"),
)
SHIRA = Method(
    title="SHiRA",
    prefix="shira_",
    roles=names("shira_indices shira_weight"),
    read=read_shira,
    fields=names("mask_type random_seed"),
)
SUPERTUNING = Method(
    title="Super",
    prefix="supertuning_",
    roles=names("supertuning_indices supertuning_values supertuning_lora_A supertuning_lora_B"),
    read=read_super,
    fields=names("sparsity select_top lora_alpha lora_dropout save_precomputed_indices"),
)
