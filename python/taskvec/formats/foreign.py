"""Adapters of formats that are known but not read: each is named, with the reason, instead of being misread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..errors import TaskvecError
from .format import Location, ReadOptions
from .others import others
from .reading.files import regular
from .reading.names import tensor_names

FIX = "convert it to PEFT (adapter_config.json and adapter_model.safetensors)"
PEFT = "PEFT format without the adapter_config.json that gives its scale"
# a tensor name of the style, and the style
STYLES = (
    (r"\.loras\.[^.]+\.lora_[AB]$", "adapters format (adapter-hub)"),
    (r"\.lora_[ab]\.weight$", "torchtune format"),
    (r"\.weight\.lora_[ab]$", "GGUF format"),
    (r"\.lora_[ab]$", "MLX format"),
    (r"_blocks\.\d+\.processor\.(qkv|proj)_lora\d?\.(up|down)\.", "XLabs format"),
    (r"\.processor\.\w+_lora\.(up|down)\.", "diffusers format (attention processors)"),
    (r"\.lora\.(up|down)\.|\.lora_linear_layer\.(up|down)\.", "diffusers format"),
    (r"^\[\]$|^(unet|text_encoder[^:]*):\d+:(up|down)$", "cloneofsimo format"),
    (r"\.lora_(up|down)\.|^lora_(unet|te\d?)_|^lycoris_", "kohya-ss format"),
    (r"^w_[ab]_\d+$", "SAM/ViT format (w_a, w_b)"),
    (r"\.adapter\.linear_(in|out)\.weight$|\.adapter\.adapter_\w+\.linear_(in|out)\.", "NeMo format"),
    (r"^(unet|text_encoder)\..*\.lora_[AB]\.", "diffusers format (PEFT keys)"),
    (r"\.lora_(embedding_)?[AB]\.", PEFT),
    (r"\.lora_[AB]$", "loralib format"),
)


def style_of(names: Iterable[str]) -> str | None:
    """The style of LoRA that these tensor names are written in, None if none is known."""
    names = list(names)
    return next((style for pattern, style in STYLES if any(re.search(pattern, name) for name in names)), None)


class Foreign:
    """A style that is recognised by the names of its tensors, and refused by its own name."""

    name = "foreign"

    def claims(self, names: Set[str], beside_peft: bool) -> bool:
        style = style_of(names)
        return style is not None and not (beside_peft and style == PEFT)

    def discover(self, path: Path) -> list[Location]:
        """Nothing: the registry asks ``claims``."""
        return []

    def read(self, location: Location, options: ReadOptions) -> NoReturn:
        """Raise, with the name of the format that the tensors' names show."""
        style = style_of(tensor_names(location.file)) or "another format"
        reason = "" if style == PEFT else ", which taskvec does not read yet"
        what = f"is an adapter in {style}{reason}"
        raise TaskvecError(what, where=location.file, fix=FIX)


@dataclass(frozen=True)
class NoFormat:
    """A file that someone gave and no format knows."""

    name: str = "unknown"

    def discover(self, path: Path) -> list[Location]:
        """Any file, so that it is refused, or left out by name, like other bad ones; no folder."""
        return [] if path.is_dir() else [Location(str(path), path, path, self)]

    def read(self, location: Location, options: ReadOptions) -> NoReturn:
        """Raise, with what is wrong with the file or with another package's format, or that nothing is an adapter's."""
        tensor_names(regular(location.file))
        others()  # one that cannot be loaded may know it
        raise no_adapter(location.path)


@dataclass(frozen=True)
class Closed:
    """A folder that may not be entered: what is in it is not known, and not left out in silence."""

    reason: str
    name: str = "unknown"

    def discover(self, path: Path) -> list[Location]:
        """Nothing: the registry finds such folders."""
        return []

    def read(self, location: Location, options: ReadOptions) -> NoReturn:
        """Raise, with the system's reason."""
        fix = "change its permissions, or leave it out with --skip-bad"
        raise TaskvecError(f"is a folder that cannot be read ({self.reason})", where=location.path, fix=fix)


def no_adapter(path: Path) -> TaskvecError:
    """The error for a path at which no format finds anything."""
    fix = "give a folder with adapter_config.json and adapter_model.safetensors, or the weights file of an adapter"
    return TaskvecError("no adapter found here", where=path, fix=fix)


FOREIGN = Foreign()
