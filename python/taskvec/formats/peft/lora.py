"""peft_type LORA in every variant whose update the files determine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import median
from typing import Any

from torch import Tensor

from ...adapters import LeftOut
from ...errors import TaskvecError, printable
from ..algebra import lora, with_base
from ..format import GIVE_BASE, NEEDS_BASE
from ..recipe import SAVE_AGAIN, Recipe, check_values
from ..starts import MODULES, start_beside
from .config import PeftConfig
from .experts import STACKED, expert_modules, parameters_among
from .keys import ModuleTensors, plain_path
from .method import Contents, Found, Method, names
from .scale import scales

EXPECTED = "A (r, n) and B (m, r) of one rank r"
MAGNITUDE = "lora_magnitude_vector"
MERGE = "merge it into its base and extract a plain LoRA"
# starts of training from B·A = 0, and those that take a first B·A off the base weight
PLAIN_STARTS = ("gaussian", "eva", "orthogonal", "mica")
SHIFTED_STARTS = ("pissa", "olora", "corda", "loftq", "lora_ga")
# what was taken off is a function of the weight
STARTS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "pissa": with_base.without_principal,
    "olora": with_base.without_orthogonal,
}
DRAWN_START = re.compile(r"pissa_niter_([0-9]{1,3})")
DRAWN = "its start was a random SVD, which the base gives only up to a share of {0:.2g} of τ"
MOST_DRAWN = 0.05  # the largest such share that is taken
CONVERT = "convert it with PEFT's path_initial_model_for_weight_conversion"
TWICE = "PEFT applies the update of an attention's out_proj twice; it is taken once, as the file has it"


def read(contents: Contents) -> Iterator[Found | list[LeftOut]]:
    """Every module's update; experts one by one."""
    config, file = contents.config, contents.file
    notes = _check(contents)
    pairs = {module.path: _pair(contents, module) for module in contents.modules}
    stacked = [path for path in pairs if _is_stack(contents, path, pairs[path])]
    yield [LeftOut(name, STACKED) for path in stacked for name in pairs.pop(path)]
    paths = list(pairs)
    parameters = parameters_among(contents, paths)
    recipes = {path: _recipe(contents, path, *pairs[path]) for path in paths if path not in parameters}
    ranks = {path: _rank(contents, recipe) for path, recipe in recipes.items()}
    scale_of = scales(config, ranks, "lora_alpha", root=config.flag("use_rslora"), tensors=contents.alphas())
    by_path = {module.path: module for module in contents.modules}
    for names_of in pairs.values():
        for name in reversed(names_of):
            check_values(file, name)
    notes = (*notes, *_drawn(contents, recipes, {path: scale.value for path, scale in scale_of.items()}))
    for path in paths:
        if path in recipes:
            recipe, scale, warnings = recipes[path], scale_of[path], notes
            if path.endswith(".base_layer.out_proj") and path.removesuffix(".base_layer.out_proj") in pairs:
                warnings = (*warnings, TWICE)
            if isinstance(recipe.combine, partial) and recipe.combine.func is lora.repeated_inputs:
                warnings = (*warnings, *_grouped_warning(contents, path, pairs))
            yield Found(path, _on_base(contents, by_path[path], recipe, scale.value), scale, warnings)
    yield from expert_modules(contents, {path: pairs[path] for path in paths if path in parameters}, notes)


def _check(contents: Contents) -> tuple[str, ...]:
    """Warnings of every module; an error for a variant whose update needs more than the file."""
    config, document = contents.config, contents.config.document
    config.flag("use_rslora")
    start = document.get("init_lora_weights")
    if isinstance(start, str) and start.lower() not in PLAIN_STARTS:
        shown = printable(start)[:40]
        if is_shifted(config):
            _check_start(contents, start.lower())
            return ()
        what = f"was initialised by {shown!r}, which is not known: B·A may not be the update"
        raise TaskvecError(what, where=config.path, fix=MERGE)
    if document.get("arrow_config"):
        what = "is an Arrow router (arrow_config): it mixes adapters by the input, there is no single update"
        raise TaskvecError(what, where=config.path, fix="give the adapters that it mixes")
    if _is_kasa(contents) and contents.options.base is None:
        what = "is a KaSA adapter: it also takes components off the base weight, so its update"
        raise TaskvecError(f"{what} {NEEDS_BASE}", where=config.path, fix=GIVE_BASE)
    warnings = []
    if document.get("alora_invocation_tokens"):
        warnings.append("activated LoRA: the update applies only after its invocation tokens")
    return tuple(warnings)


def is_shifted(config: PeftConfig) -> bool:
    """Whether the config says that a first B·A was taken off the base weight."""
    start = config.document.get("init_lora_weights")
    return isinstance(start, str) and start.lower().startswith(SHIFTED_STARTS)


def _is_kasa(contents: Contents) -> bool:
    return bool(contents.config.document.get("kasa_config")) or any("lora_diag" in m.names for m in contents.modules)


def _check_start(contents: Contents, start: str) -> None:
    """Raise unless the start is saved beside the adapter, or the base is given and determines it."""
    config = contents.config
    if start_beside(contents.file.path) is not None:
        return
    what = f"was initialised by {printable(start)[:40]}: B·A also holds what was taken off the base weight"
    if start not in STARTS and not DRAWN_START.fullmatch(start):
        what, fix = f"{what}, which came of data or quantisation and is in no file", f"{CONVERT}, or {MERGE}"
        raise TaskvecError(what, where=config.path, fix=fix)
    if contents.options.base is None:
        fix = f"{GIVE_BASE}, or {CONVERT}"
        raise TaskvecError(f"{what}, so its update {NEEDS_BASE}", where=config.path, fix=fix)


def _on_base(contents: Contents, module: ModuleTensors, recipe: Recipe, scale: float) -> Recipe:
    """The update of a module whose start took something off the base weight; of any other, its own."""
    start = _start_on_base(contents)
    if "lora_diag" in module.names:
        (diagonal,) = contents.needed(module, "lora_diag")
        check_values(contents.file, diagonal)
        b, a = recipe.names
        combine: Callable[..., tuple[Tensor, Tensor]] = with_base.kasa
        used: tuple[str, ...] = (b, diagonal, a)
    elif start is not None:
        combine, used = start, recipe.names
    else:
        return recipe
    weight = contents.weight(module)
    return Recipe(contents.file, used, partial(combine, scale=scale), 1.0, EXPECTED, weight)


def _start_on_base(contents: Contents) -> Callable[..., tuple[Tensor, Tensor]] | None:
    """How the base gives what the start took off; None where there is no such start, or it is saved."""
    start = contents.config.document.get("init_lora_weights")
    if not isinstance(start, str) or start_beside(contents.file.path) is not None:
        return None
    return with_base.without_principal if DRAWN_START.fullmatch(start.lower()) else STARTS.get(start.lower())


def _drawn(contents: Contents, recipes: Mapping[str, Recipe], scales: Mapping[str, float]) -> tuple[str, ...]:
    """A warning that says how far two draws of a random start differ; an error where that is much of the update."""
    start = contents.config.document.get("init_lora_weights")
    match = DRAWN_START.fullmatch(start.lower()) if isinstance(start, str) else None
    if match is None or _start_on_base(contents) is None:
        return ()
    modules = [module for module in contents.modules if module.path in recipes]
    shares = []
    for module in modules[:: -(-len(modules) // MODULES)]:
        b, a = (contents.file.tensor(name) for name in recipes[module.path].names)
        shares.append(with_base.share_of_draw(contents.weight(module)(), b, a, scales[module.path], int(match[1])))
    share = median(shares) if shares else 0.0
    if share > MOST_DRAWN:
        fix = f"put the start that its recipe saved beside it (pissa_init), or {CONVERT}"
        raise TaskvecError(f"was initialised by {start}: {DRAWN.format(share)}", where=contents.config.path, fix=fix)
    return (DRAWN.format(share),)


def _pair(contents: Contents, module: ModuleTensors) -> tuple[str, str]:
    """Names of B and A."""
    for kind in ("lora_", "lora_embedding_"):
        b, a = module.names.get(f"{kind}B"), module.names.get(f"{kind}A")
        if b is not None and a is not None:
            return b, a
    role, name = next(iter(module.names.items()))
    missing = {"A": f"{role[:-1]}B", "B": f"{role[:-1]}A"}.get(role[-1], "lora_A and lora_B")
    what = f"has {name} but no {missing} of that module"
    raise TaskvecError(what, where=contents.file.path, fix=SAVE_AGAIN)


def _is_stack(contents: Contents, path: str, pair: tuple[str, str]) -> bool:
    """Whether the factors are those of all experts, one after the other; kernels have three dimensions too."""
    return "experts" in path.split(".") and all(len(contents.shape(name)) == 3 for name in pair)


def _recipe(contents: Contents, path: str, b_name: str, a_name: str) -> Recipe:
    """How B and A of one module become factors, by their shapes and the config."""
    combine = _combine(contents, path, contents.shape(b_name), contents.shape(a_name))
    return Recipe(contents.file, (b_name, a_name), combine, expected=EXPECTED)


def _combine(
    contents: Contents, path: str, b: tuple[int, ...], a: tuple[int, ...]
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    config = contents.config
    if len(a) == 2 and len(b) == 3:
        return partial(lora.merged_parts, enabled=_enabled(config))
    kernels = len(a) == len(b) > 2 and all(size == 1 for size in b[2:])
    if kernels and 0 < b[1] < a[0] and a[0] % b[1] == 0 and b[0] % (a[0] // b[1]) == 0:
        return lora.grouped_convolution
    if len(a) == len(b) == 2:
        blocks = _block_factor(config, path)
        if blocks:
            return blocks
        if config.flag("use_qalora") and _is_grouped(contents, a[1]):
            return partial(lora.repeated_inputs, group=config.rank("qalora_group_size"))
        return lora.linear
    return lora.linear if kernels else _no_pair


def _no_pair(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    raise ValueError("neither matrices nor kernels")


def _enabled(config: PeftConfig) -> tuple[bool, ...]:
    """Which parts of a fused projection PEFT 0.2 trained."""
    value: Any = config.document.get("enable_lora")
    if isinstance(value, list) and any(value) and len(value) < 100 and all(isinstance(on, bool) for on in value):
        return tuple(value)
    raise config.wrong("enable_lora", value, "true or false for every part of a fused projection (MergedLinear)")


def _block_factor(config: PeftConfig, path: str) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """BD-LoRA's compact factor, which PEFT chooses by words in the module's name."""
    settings = config.document.get("use_bdlora")
    if not settings:
        return None
    if not isinstance(settings, dict):
        raise config.wrong("use_bdlora", settings, "an object")
    inner = PeftConfig(config.path, config.type, settings)
    name, blocks = plain_path(path).rpartition(".")[2], inner.rank("nblocks")
    if any(word in name for word in inner.names("target_modules_bd_a")):
        return partial(lora.block_diagonal_a, blocks=blocks)
    if any(word in name for word in inner.names("target_modules_bd_b")):
        return partial(lora.block_diagonal_b, blocks=blocks)
    return None


def _outputs(contents: Contents) -> set[int]:
    return {contents.shape(module.names["lora_B"])[0] for module in contents.modules if "lora_B" in module.names}


def _is_grouped(contents: Contents, columns: int) -> bool:
    """Whether A acts on groups of inputs, as PEFT has it for GPTQ layers only: by the sizes of the model's layers."""
    group, sizes = contents.config.rank("qalora_group_size"), _outputs(contents)
    return columns * group in sizes or columns not in sizes


def _grouped_warning(contents: Contents, path: str, pairs: dict[str, tuple[str, str]]) -> list[str]:
    """A warning where no layer's size shows that A acts on groups of inputs."""
    group = contents.config.rank("qalora_group_size")
    inputs = contents.shape(pairs[path][1])[1] * group
    if inputs in _outputs(contents):
        return []
    return [f"QALoRA: assumed that lora_A acts on groups of {group} inputs, as it does on GPTQ layers"]


def _rank(contents: Contents, recipe: Recipe) -> int | None:
    """The r that alpha is divided by, of MergedLinear that of one part; None for rows that no A has."""
    rows = next(iter(contents.shape(recipe.names[1])), 0)
    if isinstance(recipe.combine, partial) and recipe.combine.func is lora.merged_parts:
        rows //= sum(_enabled(contents.config))
    return rows or None


LORA = Method(
    title="LoRA",
    prefix="lora_",
    roles=names("lora_A lora_B lora_embedding_A lora_embedding_B lora_magnitude_vector lora_diag alpha"),
    read=read,
    training_only=names("lora_monteclora_sampler lora_velora_embed"),
    fields=names("""
        lora_alpha lora_dropout init_lora_weights use_rslora use_dora use_qalora use_bdlora lora_bias target_parameters
        alora_invocation_tokens layer_replication enable_lora merge_weights arrow_config kasa_config monteclora_config
        velora_config loftq_config eva_config corda_config lora_ga_config lora_dtype lorap_lr_ratio lorap_emb_lr
    """),
)
