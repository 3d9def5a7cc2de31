"""PEFT's LoRA: adapter_config.json next to adapter_model.safetensors or .bin."""

from __future__ import annotations

import math
import os
from collections import Counter
from functools import partial
from pathlib import Path

from ...adapters import Adapter, LeftOut, Module
from ...errors import TaskvecError
from ..foreign import style_of
from ..format import Location, ReadOptions
from ..reading.files import digest, member, regular
from ..reading.tensors import TensorFile, open_tensors
from .config import PeftConfig, read_config
from .factors import Factors, factors
from .keys import MAGNITUDE, LoraTensors, lora_tensors
from .scale import scales

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")  # in PEFT's own order of preference
DORA = "DoRA: the low-rank part alone, without the magnitudes"


class Peft:
    """The format that the peft package saves."""

    name = "peft"

    def discover(self, path: Path) -> list[Location]:
        """The weights file of the adapter at ``path``, or its config when there are no weights, stands for it."""
        if path.is_dir():
            file = next((path / name for name in (*WEIGHTS, CONFIG) if os.path.lexists(path / name)), None)
        else:
            has_config = os.path.lexists(path.parent / CONFIG)
            known = path.suffix in (".safetensors", ".bin") and (path.name in WEIGHTS or has_config)
            file = path if known else None
        return [] if file is None else [Location(str(path), path, file, self)]

    def read(self, location: Location, options: ReadOptions) -> list[Adapter]:
        """The one adapter there: a folder, or a weights file with its config next to it."""
        weights, config_path = _files(location.path)
        config = read_config(config_path)
        file = open_tensors(weights)
        tensors, left_out = lora_tensors(file.shapes, weights)
        notes = (*config.warnings, *_dora(config, tensors, weights, options))

        found: dict[str, Factors] = {}
        dropped = []
        for lora in tensors:
            result = factors(lora, file, config)
            if isinstance(result, str):
                dropped += [LeftOut(name, result) for name in lora.names.values()]
                continue
            if MAGNITUDE in lora.names:
                left_out.append(LeftOut(lora.names[MAGNITUDE], DORA))
            found[lora.path] = result
        if not found:
            raise _empty(file, dropped)

        modules = _modules(found, config, notes)
        adapter = Adapter(
            name=location.name,
            path=location.path,
            format=self.name,
            base_model=config.base_model,
            modules=modules,
            digest=digest(weights, config_path),
            left_out=tuple(sorted((*left_out, *dropped), key=lambda item: item.tensor)),
            warnings=_warnings(modules, dropped),
        )
        return [adapter]


def _files(path: Path) -> tuple[Path, Path]:
    """The weights and the config of the adapter at ``path``, a folder or a weights file."""
    folder = path if path.is_dir() else path.parent
    weights = next((file for name in WEIGHTS if (file := member(path, name))), None) if path.is_dir() else regular(path)
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


def _dora(config: PeftConfig, tensors: list[LoraTensors], where: Path, options: ReadOptions) -> tuple[str, ...]:
    """The note for every module of a DoRA adapter of which the low-rank part is taken; none for plain LoRA."""
    if not config.use_dora and not any(MAGNITUDE in lora.names for lora in tensors):
        return ()
    if options.dora == "refuse":
        fix = 'take the low-rank part with --dora low-rank (in Python dora="low-rank")'
        raise TaskvecError("is a DoRA adapter: its update is more than B·A", where=where, fix=fix)
    return (DORA,)


def _modules(found: dict[str, Factors], config: PeftConfig, notes: tuple[str, ...]) -> dict[str, Module]:
    """The modules by path, without the wrappers inside it (.base_layer), which PEFT's patterns have to see."""
    scale_of = scales(config, {path: item.shapes[1][0] for path, item in found.items()})
    modules: dict[str, Module] = {}
    for wrapped, item in found.items():
        item.check_values()
        path, scale, (b, a) = wrapped.replace(".base_layer", ""), scale_of[wrapped], item.shapes
        if path in modules:
            fix = "save the adapter again, unwrapped"
            raise TaskvecError(f"has two pairs of factors for {path}", where=item.file.path, fix=fix)
        modules[path] = Module(
            path=path,
            shape=(b[0], math.prod(a[1:])),
            rank=a[0],
            alpha=scale.alpha,
            scale=scale.value,
            scale_source=scale.source,
            update=partial(item.update, scale.value),
            warnings=(*scale.warnings, *notes),
        )
    return modules


def _warnings(modules: dict[str, Module], dropped: list[LeftOut]) -> tuple[str, ...]:
    """One line for each kind of warning, with the number of modules it concerns."""
    counts = Counter(warning for module in modules.values() for warning in module.warnings)
    lines = [f"{count} of {len(modules)} modules: {warning}" for warning, count in counts.items()]
    reasons = Counter(item.reason for item in dropped)
    return (*lines, *(f"{count} tensors left out: {reason}" for reason, count in reasons.items()))


def _empty(file: TensorFile, dropped: list[LeftOut]) -> TaskvecError:
    if dropped:
        what, fix = f"has no module that can be compared: {dropped[0].reason}", "leave this adapter out"
        return TaskvecError(what, where=file.path, fix=fix)
    style = style_of(file.shapes)
    got = f"tensors in {style}" if style else f"{len(file.shapes)} other tensors"
    fix = "convert it to PEFT" if style else "check that this is the adapter's weights file"
    return TaskvecError("has no lora_A and lora_B", where=file.path, got=got, fix=fix)
