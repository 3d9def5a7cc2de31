"""What the peft package saves: adapter_config.json next to adapter_model.safetensors or .bin."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ...adapters import Adapter, LeftOut, Module, counted
from ...errors import TaskvecError
from ..dora import LOW_RANK, decomposed, takes_low_rank
from ..foreign import style_of
from ..format import GIVE_BASE, NEEDS_BASE, Location, ReadOptions
from ..reading.files import digest, member, regular
from ..reading.shards import INDEX, SHARD, open_model
from ..reading.tensors import TensorFile, open_tensors
from ..recipe import digest_with_base
from ..starts import PISSA, is_near, is_untouched, start_beside, without_start
from ..starts import WARNING as UNTOUCHED
from .config import PeftConfig, read_config
from .fields import unknown_fields
from .keys import plain_path, sort_tensors
from .lora import MAGNITUDE, is_shifted
from .method import Contents, Found, Method
from .methods import METHODS
from .refused import refusal
from .replication import COPY, named_apart, of_base

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")  # in PEFT's own order of preference
WHOLE = (*WEIGHTS, *(f"{name}{INDEX}" for name in WEIGHTS))  # each stands for the whole of an adapter


class Peft:
    """The format that the peft package saves."""

    name = "peft"

    def discover(self, path: Path) -> list[Location]:
        """The weights file of the adapter at ``path``, or its config when there are no weights, stands for it."""
        if path.is_dir():
            file = next((path / name for name in (*WHOLE, CONFIG) if os.path.lexists(path / name)), None)
        else:
            has_config = os.path.lexists(path.parent / CONFIG)
            known = path.name in WHOLE or (path.suffix in (".safetensors", ".bin") and has_config)
            file = path if known else None
        return [] if file is None else [Location(str(path), path, file, self)]

    def read(self, location: Location, options: ReadOptions) -> list[Adapter]:
        """The one adapter there: a folder, or a weights file with its config next to it."""
        weights, config_path = _files(location.path)
        config = read_config(config_path)
        method = METHODS.get(config.type)
        if method is None:
            raise refusal(config.type, config_path)
        if method.on_base is not None and options.base is None:
            what = f"is an adapter of peft_type {config.type}: {method.on_base}, so its update {NEEDS_BASE}"
            raise TaskvecError(what, where=config_path, fix=GIVE_BASE)
        warnings = unknown_fields(config, method)
        file, parts = _opened(weights)
        found_tensors = sort_tensors(file.shapes, method, weights)
        left_out = found_tensors.left_out
        magnitudes = {module.path: module.names.get(MAGNITUDE) for module in found_tensors.modules}
        dora = config.flag("use_dora") or any(magnitudes.values())
        low_rank = dora and takes_low_rank(weights, options)
        if low_rank:
            left_out += tuple(LeftOut(name, LOW_RANK) for name in magnitudes.values() if name)
        if not found_tensors.modules:
            raise _empty(file, method)

        found: list[Found] = []
        dropped: list[LeftOut] = []
        for item in method.read(Contents(config, file, found_tensors.modules, found_tensors.shared, options)):
            if isinstance(item, list):
                dropped += item
            else:
                found.append(item)
        if not found:
            what = f"has no module that can be compared: {dropped[0].reason}"
            raise TaskvecError(what, where=weights, fix="leave this adapter out")

        start: str | None = None
        of_start: tuple[Path, ...] = ()
        if config.type == "LORA":
            found, start, of_start = _less_start(found, config, weights)
        if dora and not low_rank:
            turned = config.flag("fan_in_fan_out") or None
            found = [_decomposed(item, magnitudes[item.path], config, options, turned) for item in found]
        modules = _modules(found, config, options, (LOW_RANK,) if low_rank else (), start)
        adapter = Adapter(
            name=location.name,
            path=location.path,
            format=self.name,
            base_model=config.base_model,
            modules=modules,
            digest=digest_with_base(digest(*parts, config_path, *of_start), modules.values()),
            left_out=counted((*left_out, *dropped), file.shapes),
            warnings=(*warnings, *_warnings(modules, dropped)),
            parameters=sum(map(math.prod, file.shapes.values())),
        )
        return [adapter]


def _files(path: Path) -> tuple[Path, Path]:
    """The weights and the config of the adapter at ``path``, a folder or a weights file."""
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        weights = next((file for name in WHOLE if (file := member(path, name))), None) or _first_shard(path)
    else:
        weights = regular(path)
        if match := SHARD.match(path.name):
            what, fix = f"is one shard of {int(match[2])}, a part of an adapter", "give the folder that it is in"
            raise TaskvecError(what, where=path, fix=fix)
    if weights is None:
        others = sorted(file.name for file in path.iterdir() if file.suffix in (".safetensors", ".bin"))
        got = ", ".join(others[:3]) or "no weights at all"
        fix = "give the weights file itself" if others else "download the weights too"
        raise TaskvecError(f"has {CONFIG} but no {' or '.join(WEIGHTS)}", where=path, got=got, fix=fix)
    config = member(folder, CONFIG)
    if config is None:
        what = f"has no {CONFIG} next to it: r and alpha, and so the scale, are unknown"
        raise TaskvecError(what, where=weights, fix="copy it from where the adapter was saved")
    return weights, config


def _first_shard(folder: Path) -> Path | None:
    """The first of an adapter's shards, where there is no index of them."""
    shards = sorted(file.name for file in folder.iterdir() if SHARD.match(file.name))
    return member(folder, shards[0]) if shards else None


def _opened(weights: Path) -> tuple[TensorFile, tuple[Path, ...]]:
    """The tensors of an adapter and the files that they are in: one, or all shards from their index or the first."""
    if weights.name.endswith(INDEX) or SHARD.match(weights.name):
        shards = open_model(weights)
        return shards, (weights, *shards.files)
    return open_tensors(weights), (weights,)


def _decomposed(
    item: Found, magnitude: str | None, config: PeftConfig, options: ReadOptions, turned: bool | None
) -> Found:
    """A DoRA module's whole update from that of its low-rank part."""
    recipe = item.recipe if item.recipe.weight else replace(item.recipe, scale=item.scale.value)
    path = of_base(plain_path(item.path), config)
    return replace(item, recipe=decomposed(recipe, path, magnitude, options, turned=turned))


def _less_start(
    found: list[Found], config: PeftConfig, weights: Path
) -> tuple[list[Found], str | None, tuple[Path, ...]]:
    """The updates without a start of training that took something off the base and is saved beside the adapter.

    That there was one is known by the config's word, or by the factors' values; then, where it is not saved, a mark for
    the modules comes back. Last the start's file, where it was read.
    """
    recipes = [item.recipe for item in found]
    named = is_shifted(config) and all(recipe.weight is None for recipe in recipes)
    if not named and not is_untouched(recipes):
        return found, None, ()
    start = start_beside(weights)
    if start is not None and not is_near(recipes, start):
        if named:
            fix = "put the start of this very adapter beside it"
            raise TaskvecError(f"is no start of {weights}: its factors are others", where=start.path, fix=fix)
        start = None
    if start is None:
        return found, PISSA, ()
    source = f" of B·A less the start in {start.path.parent.name}"
    less = [
        replace(
            item,
            recipe=without_start(item.recipe, start, item.scale.value),
            scale=replace(item.scale, source=f"{item.scale.source}{source}"),
        )
        for item in found
    ]
    return less, None, (start.path,)


def _modules(
    found: list[Found], config: PeftConfig, options: ReadOptions, notes: tuple[str, ...], start: str | None
) -> dict[str, Module]:
    """The modules by path, without the wrappers inside it (.base_layer), which PEFT's patterns have to see."""
    modules: dict[str, Module] = {}
    for item in found:
        plain, scale = plain_path(item.path), item.scale
        path = named_apart(plain, config)
        if path in modules:
            fix = "save the adapter again, unwrapped"
            raise TaskvecError(f"has two updates of {path}", where=item.recipe.file.path, fix=fix)
        recipe = item.recipe if item.recipe.weight else replace(item.recipe, scale=scale.value)
        shape, rank = recipe.outline(min if recipe.weight is None else options.kept)
        modules[path] = Module(
            path=path,
            shape=shape,
            rank=rank,
            alpha=scale.alpha,
            scale=scale.value,
            scale_source=scale.source,
            update=recipe,
            warnings=(
                *scale.warnings,
                *item.warnings,
                *notes,
                *((UNTOUCHED,) if start else ()),
                *((COPY,) if path != plain else ()),
            ),
            start=start,
        )
    return modules


def _warnings(modules: dict[str, Module], dropped: list[LeftOut]) -> tuple[str, ...]:
    """One line for each kind of warning, with the number of modules it concerns."""
    counts = Counter(warning for module in modules.values() for warning in module.warnings)
    lines = [f"{count} of {len(modules)} modules: {warning}" for warning, count in counts.items()]
    reasons = Counter(item.reason for item in dropped)
    return (*lines, *(f"{count} tensors left out: {reason}" for reason, count in reasons.items()))


def _empty(file: TensorFile, method: Method) -> TaskvecError:
    style = style_of(file.shapes)
    got = f"tensors in {style}" if style else f"{len(file.shapes)} other tensors"
    fix = "convert it to PEFT" if style else "check that this is the adapter's weights file"
    wanted = "lora_A and lora_B" if method.prefix == "lora_" else f"{method.prefix}… tensors of {method.title}"
    return TaskvecError(f"has no {wanted}", where=file.path, got=got, fix=fix)
