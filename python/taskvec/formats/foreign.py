"""Adapters of formats that are known but not read: each is named, with what to do, instead of being misread."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

from ..errors import TaskvecError
from .format import Location, ReadOptions
from .reading.files import member, regular
from .reading.header import read_header

FIX = "convert it to PEFT (adapter_config.json and adapter_model.safetensors)"
# a tensor name of the style, the style
STYLES = (
    (r"\.lora_[ab]$", "MLX format"),
    (r"\.processor\.\w+_lora\.(up|down)\.", "diffusers format (attention processors)"),
    (r"\.lora\.(up|down)\.|\.lora_linear_layer\.(up|down)\.", "diffusers format"),
    (r"^lora_(unet|te\d?)_.*\.lora_(up|down)\.", "kohya-ss format"),
    (r"^w_[ab]_\d+$", "SAM/ViT format (w_a, w_b)"),
    (r"^(transformer|unet|text_encoder)\..*\.lora_[AB]\.", "diffusers format (PEFT keys)"),
    (r"\.lora_(embedding_)?[AB](\.|$)", "PEFT format without the adapter_config.json that gives its scale"),
)


def style_of(names: Iterable[str]) -> str | None:
    """The style of LoRA that these tensor names are written in, None if none is known."""
    names = list(names)
    return next((style for pattern, style in STYLES if any(re.search(pattern, name) for name in names)), None)


@dataclass(frozen=True)
class Foreign:
    """A format recognised by the names of its files, and refused by name."""

    name: str
    files: tuple[str, ...]

    def discover(self, path: Path) -> list[Location]:
        """The first file of this format in the folder, or the file itself."""
        candidates = sorted(path.iterdir()) if path.is_dir() else [path]
        known = (file for file in candidates if any(fnmatch(file.name, name) for name in self.files))
        return [Location(str(path), path, file, self) for file in [next(known, None)] if file is not None]

    def read(self, location: Location, options: ReadOptions) -> NoReturn:
        """Raise, with the name of the format that the tensors' names show."""
        path, file = location.path, location.file
        file = (member(path, file.name) or file) if path.is_dir() else regular(file)
        style = style_of(read_header(file)) if file.suffix == ".safetensors" else None
        raise TaskvecError(f"is an adapter in {style or f'{self.name} format'}, which is not read", where=file, fix=FIX)


class NoFormat:
    """A file that someone gave and no format knows."""

    name = "unknown"

    def discover(self, path: Path) -> list[Location]:
        """Any file, so that it is refused, or left out by name, like other bad ones; no folder."""
        return [] if path.is_dir() else [Location(str(path), path, path, self)]

    def read(self, location: Location, options: ReadOptions) -> NoReturn:
        raise no_adapter(location.path)


def no_adapter(path: Path) -> TaskvecError:
    """The error for a path at which no format finds anything."""
    fix = "give a folder with adapter_config.json and adapter_model.safetensors, or the weights file in such a folder"
    return TaskvecError("no adapter found here", where=path, fix=fix)


MLX = Foreign("MLX", ("adapters.safetensors", "[0-9]*_adapters.safetensors", "adapters.npz"))
DIFFUSERS = Foreign("diffusers", ("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin"))
UNKNOWN = Foreign("unknown LoRA", ("*[Ll]o[Rr]a*.safetensors", "*LORA*.safetensors", "*[Ll]o[Rr]a*.pt"))
