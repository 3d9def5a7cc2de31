"""PEFT's LoRA: adapter_config.json beside adapter_model.safetensors or .bin."""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path

from ..errors import TaskvecError
from .files import digest, member, regular
from .foreign import style_of
from .model import Adapter, LeftOut, Module
from .peft_config import PeftConfig, read_config
from .peft_factors import Factors, factors
from .peft_keys import MAGNITUDE, Group, group
from .scale import scales
from .weights import Weights, open_weights

NAME = "peft"
CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")  # in PEFT's own order of preference
DORA = "DoRA: the low-rank part alone, without the magnitudes"


def locate(path: Path) -> Path | None:
    """The weights file of the adapter at ``path``, or its config when there are no weights."""
    if path.is_dir():
        return next((path / name for name in (*WEIGHTS, CONFIG) if os.path.lexists(path / name)), None)
    has_config = os.path.lexists(path.parent / CONFIG)
    known = path.suffix in (".safetensors", ".bin") and (path.name in WEIGHTS or has_config)
    return path if known else None


def read(path: Path, *, name: str, dora: str) -> Adapter:
    """Read the adapter at ``path``, a folder or a weights file with its config beside it."""
    weights_path, config_path = _files(path)
    config = read_config(config_path)
    weights = open_weights(weights_path)
    groups, left_out = group(weights.shapes, weights_path)
    notes = (*config.warnings, *_dora(config, groups, weights_path, dora))

    found: dict[str, Factors] = {}
    dropped = []
    for item in groups:
        result = factors(item, weights, config)
        if isinstance(result, str):
            dropped += [LeftOut(tensor, result) for tensor in item.tensors.values()]
            continue
        if MAGNITUDE in item.tensors:
            left_out.append(LeftOut(item.tensors[MAGNITUDE], DORA))
        found[item.path] = result
    if not found:
        raise _empty(weights, dropped)

    modules = _modules(found, config, notes)
    return Adapter(
        name=name,
        path=path,
        format=NAME,
        base_model=config.base_model,
        modules=modules,
        digest=digest(weights_path, config_path),
        left_out=tuple(sorted((*left_out, *dropped), key=lambda item: item.tensor)),
        warnings=_warnings(modules, dropped),
    )


def _files(path: Path) -> tuple[Path, Path]:
    """The weights and the config of the adapter at ``path``, a folder or a weights file."""
    folder = path if path.is_dir() else path.parent
    weights = next((file for name in WEIGHTS if (file := member(path, name))), None) if path.is_dir() else regular(path)
    if weights is None:
        others = sorted(file.name for file in path.iterdir() if file.suffix in (".safetensors", ".bin"))
        got = ", ".join(others[:3]) or "no weights at all"
        cure = "give the weights file itself" if others else "download the weights too"
        raise TaskvecError(f"has {CONFIG} but no {' or '.join(WEIGHTS)}", where=path, got=got, cure=cure)
    config = member(folder, CONFIG)
    if config is None:
        what = f"has no {CONFIG} beside it: r and alpha, and so the scale, are unknown"
        raise TaskvecError(what, where=weights, cure="put the one that it was saved with there")
    return weights, config


def _dora(config: PeftConfig, groups: list[Group], where: Path, dora: str) -> tuple[str, ...]:
    """The note for every module of a DoRA adapter of which the low-rank part is taken; none for plain LoRA."""
    if not config.use_dora and not any(MAGNITUDE in item.tensors for item in groups):
        return ()
    if dora == "refuse":
        cure = 'take the low-rank part with --dora low-rank (in Python dora="low-rank")'
        raise TaskvecError("is a DoRA adapter: its update is not B·A alone", where=where, cure=cure)
    return (DORA,)


def _modules(found: dict[str, Factors], config: PeftConfig, notes: tuple[str, ...]) -> dict[str, Module]:
    """The modules by path, without the wrappers inside it (.base_layer), which PEFT's patterns have to see."""
    shapes = {path: (item.weights.shapes[item.b], item.weights.shapes[item.a]) for path, item in found.items()}
    scale_of = scales(config, {path: a[0] for path, (_, a) in shapes.items()})
    modules: dict[str, Module] = {}
    for wrapped, item in found.items():
        item.check_values()
        path, scale, (b, a) = wrapped.replace(".base_layer", ""), scale_of[wrapped], shapes[wrapped]
        if path in modules:
            cure = "save the adapter again, unwrapped"
            raise TaskvecError(f"has two pairs of factors for {path}", where=item.weights.path, cure=cure)
        modules[path] = Module(
            path=path,
            shape=(b[0], math.prod(a[1:])),
            rank=a[0],
            alpha=scale.alpha,
            scale=scale.value,
            scale_source=scale.source,
            factors=item,
            warnings=(*scale.warnings, *notes),
        )
    return modules


def _warnings(modules: dict[str, Module], dropped: list[LeftOut]) -> tuple[str, ...]:
    """One line for each kind of warning, with the number of modules it concerns."""
    counts = Counter(warning for module in modules.values() for warning in module.warnings)
    lines = [f"{count} of {len(modules)} modules: {warning}" for warning, count in counts.items()]
    reasons = Counter(item.reason for item in dropped)
    return (*lines, *(f"{count} tensors left out: {reason}" for reason, count in reasons.items()))


def _empty(weights: Weights, dropped: list[LeftOut]) -> TaskvecError:
    if dropped:
        what, cure = f"has no module that can be compared: {dropped[0].reason}", "leave this adapter out"
        return TaskvecError(what, where=weights.path, cure=cure)
    style = style_of(weights.shapes)
    got = f"tensors in {style}" if style else f"{len(weights.shapes)} other tensors"
    cure = "convert it to PEFT" if style else "check that this is the adapter's weights file"
    return TaskvecError("has no lora_A and lora_B", where=weights.path, got=got, cure=cure)
