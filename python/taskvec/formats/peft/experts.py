"""LoRA of bare parameters (target_parameters): a pair of factors for each expert, or one for a plain matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from ...adapters import LeftOut
from ...errors import TaskvecError
from ..algebra import lora
from ..recipe import Recipe
from .keys import plain_path
from .method import Contents, Found
from .patterns import all_matches
from .scale import scales

MOST_EXPERTS = 4096
# parameters of a module in the order in which transformers registers them
ORDER = ("gate_up_proj", "gate_proj", "w1", "up_proj", "w3", "down_proj", "w2")
STACKED = "a stack of experts in one tensor, whose layout no client of PEFT defines"
UNNAMED = "factors of one of several bare parameters (target_parameters): which one cannot be told from the file"
EXPECTED = "A (r·E, n) and B (m, r·E) of E experts of rank r"


def parameters_among(contents: Contents, paths: Collection[str]) -> set[str]:
    """Which of the paths hold factors of bare parameters, which PEFT wraps in layers of ``.base_layer``.

    Told by ``target_parameters``, by such layers in the file, and by the name ``experts``, as configs that other tools
    wrote do not say it.
    """
    config = contents.config
    wanted = config.document.get("target_modules")
    modules = wanted if isinstance(wanted, list) else []
    parameters = config.names("target_parameters")
    owned = tuple(name for name in parameters if "." in name)
    layered = {plain_path(path) for path in paths if path.endswith(".base_layer")}

    def is_parameter(path: str) -> bool:
        plain = plain_path(path)
        if plain in layered or _of_module(plain, owned):
            return True
        if not modules or any(f".{plain}".endswith(f".{name}") for name in modules):
            return False
        return len(owned) < len(parameters) or plain.rpartition(".")[2] == "experts"

    return {path for path in paths if is_parameter(path)}


def expert_modules(
    contents: Contents, pairs: Mapping[str, tuple[str, str]], notes: tuple[str, ...]
) -> Iterator[Found | list[LeftOut]]:
    """The updates of bare parameters: PATH[e] for expert e, PATH for a parameter that is a matrix."""
    levels = defaultdict(list)
    for path in sorted(pairs, key=lambda path: -path.count(".base_layer")):  # the innermost was registered first
        levels[plain_path(path)].append(path)
    named: dict[str, str] = {}
    for module, paths in levels.items():
        parameters = _parameters(contents, module, [pairs[path] for path in paths])
        if len(parameters) != len(paths):
            yield [LeftOut(name, UNNAMED) for path in paths for name in pairs[path]]
            continue
        named |= dict(zip(paths, parameters, strict=True))
    yield from _experts(contents, {path: pairs[path] for path in named}, named, notes)


def _experts(
    contents: Contents, pairs: Mapping[str, tuple[str, str]], named: Mapping[str, str], notes: tuple[str, ...]
) -> Iterator[Found]:
    config = contents.config
    # patterns are written for MODULE.PARAMETER
    of_pattern = [f"{plain_path(path)}.{named[path]}" for path in pairs]
    rank_pattern = config.ranks("rank_pattern")
    keys = all_matches(list(rank_pattern), of_pattern, config.path)
    ranks: dict[str, int | None] = {
        path: rank_pattern[found[0]] if found else config.rank("r")
        for path, found in zip(of_pattern, keys, strict=True)
    }
    scale_of = scales(config, ranks, "lora_alpha", root=config.flag("use_rslora"))
    for pair, parameter in zip(pairs.values(), of_pattern, strict=True):
        called = parameter.removesuffix(".weight")
        rank, rows = ranks[parameter], contents.shape(pair[1])[0]
        if not rank or rows % rank or len(contents.shape(pair[1])) != 2:
            expected = f"a multiple of r = {rank}"
            what = f"has factors of experts {pair[1]}"
            raise TaskvecError(what, where=contents.file.path, got=f"{rows} rows", expected=expected, fix="check r")
        count = rows // rank
        if count > MOST_EXPERTS:
            what = f"has {count:,} experts in {pair[1]}"
            raise TaskvecError(what, where=contents.file.path, expected=f"at most {MOST_EXPERTS:,}", fix="check r")
        for e in range(count):
            combine = partial(lora.expert, count=count, e=e) if count > 1 else lora.linear
            recipe = Recipe(contents.file, pair, combine, expected=EXPECTED)
            yield Found(f"{called}[{e}]" if count > 1 else called, recipe, scale_of[parameter], notes)


def _of_module(module: str, target_parameters: tuple[str, ...]) -> list[str]:
    """Names of the parameters of a module, in the config's order."""
    owners = [name.rpartition(".") for name in target_parameters]
    return [name for owner, _, name in owners if not owner or f".{module}".endswith(f".{owner}")]


def _parameters(contents: Contents, module: str, pairs: list[tuple[str, str]]) -> list[str]:
    """Names of a module's parameters, innermost first."""
    wanted = list(dict.fromkeys(_of_module(module, contents.config.names("target_parameters"))))
    if len(wanted) > 1:
        if not all(name in ORDER for name in wanted):
            return []
        wanted.sort(key=ORDER.index)
    if set(wanted) == {"gate_up_proj", "down_proj"} and len(pairs) == 2:
        # gate and up, each as wide as what down takes, tell the two apart
        (first, _), (_, last) = ([contents.shape(name) for name in pair] for pair in pairs)
        if first[0] != 2 * last[1] and contents.shape(pairs[1][0])[0] == 2 * contents.shape(pairs[0][1])[1]:
            wanted.reverse()
    return wanted
