"""Files of diffusers, in its old and new spellings, and of tools that write PEFT's names without a config.

Names of modules stay as the file has them, with the part of the pipeline in front (unet., transformer., …).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from safetensors import SafetensorError, safe_open

from ..adapters import LeftOut
from ..errors import TaskvecError
from .algebra.lora import linear
from .format import ReadOptions
from .peft.config import PeftConfig
from .peft.scale import Scale, scales
from .reading.tensors import PICKLES, TensorFile
from .recipe import Recipe, number
from .single import Content, Piece, SingleFile, needed, put

PART = r"(?:unet|text_encoder(?:_[23])?|transformer(?:_2)?|diffusion_model)"
# how a diffusers model's own paths begin; GPT-2's transformer.h and the like are none
BARE = r"(?:down_blocks|up_blocks|mid_block|(?:single_)?transformer_blocks|(?:double|single)_blocks)"
PEFT_NAMES = re.compile(r"^(.+)\.lora_([AB])(?:\.([^.]+))?\.weight$")
LAYERS = re.compile(r"^(.+)\.(?:lora|lora_linear_layer)\.(down|up)\.weight$")
PROCESSORS = re.compile(r"^(.+)\.processor\.(to_[qkv]|to_out|add_[qkv]_proj|to_add_out)_lora\.(down|up)\.weight$")
OLD_TEXT = re.compile(r"^(.+\.self_attn)\.to_([qkv]|out)_lora\.(down|up)\.weight$")
CLAIM = re.compile(rf"^(?:{PART}\.(?!h\.|encoder\.|wte\.|word_embeddings)|{BARE}\.).*\.lora_[AB](?:\.[^.]+)?\.weight$")
MAGNITUDES = ("lora_magnitude_vector.weight", "lora_magnitude_vector", "magnitude", "dora_scale")
ROLES = {"A": "down", "B": "up", "down": "down", "up": "up"}


def claims(names: Set[str], beside_peft: bool) -> bool:
    if any(pattern.match(name) for pattern in (LAYERS, PROCESSORS, OLD_TEXT) for name in names):
        return True
    plain = not beside_peft and not any(name.startswith("base_model.") for name in names)
    return plain and any(CLAIM.match(name) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """The updates, B·A times what the header's lora_adapter_metadata or an alpha tensor says, or 1."""
    modules, left_out = _sorted(file)
    scale_of = _scales(file, modules)
    pieces = []
    for path, names in modules.items():
        scale, magnitude = scale_of[path], names.get("magnitude")
        recipe = Recipe(file, needed(file, names, "up", "down"), linear, scale.value, "up (m, r) and down (r, n)")
        pieces.append(Piece(path, recipe, scale.source, scale.alpha, scale.warnings, magnitude is not None, magnitude))
    return Content(pieces, left_out)


def _place(name: str) -> tuple[str, str] | None:
    """Module path and role of a factor."""
    if match := PEFT_NAMES.match(name):
        return match[1], ROLES[match[2]]
    if match := PROCESSORS.match(name):
        return f"{match[1]}.{match[2]}{'.0' if match[2] == 'to_out' else ''}", match[3]
    if match := OLD_TEXT.match(name):
        return f"{match[1]}.{match[2]}_proj", match[3]
    if match := LAYERS.match(name):
        return match[1], match[2]
    return None


def _sorted(file: TensorFile) -> tuple[dict[str, dict[str, str]], list[LeftOut]]:
    """Tensors of modules by role, and those of none."""
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    others, left_out = [], []
    has_peft_names = any(PEFT_NAMES.match(name) for name in file.shapes)
    for name in sorted(file.shapes):
        place = _place(name)
        if has_peft_names and place is not None and not PEFT_NAMES.match(name):
            left_out.append(LeftOut(name, "diffusers does not load this spelling beside lora_A and lora_B"))
            continue
        if place is None:
            others.append(name)
        else:
            put(modules[place[0]], place[1], name, file.path)
    for name in others:
        role = next((role for role in ("alpha", *MAGNITUDES) if name.endswith(f".{role}")), None)
        path = name.removesuffix(f".{role}")
        if role is not None and path in modules:
            put(modules[path], "alpha" if role == "alpha" else "magnitude", name, file.path)
        elif any(name.startswith(f"{path}.lora") for path in modules) and not name.endswith(".bias"):
            what = f"has {name}, a tensor that is not known: it may change what the update is"
            raise TaskvecError(what, where=file.path, fix="merge it into its base and extract a plain LoRA")
        else:
            is_bias = name.endswith((".bias", ".diff_b"))
            left_out.append(LeftOut(name, "a bias, not a matrix" if is_bias else "no factor of an update"))
    return dict(modules), left_out


def _scales(file: TensorFile, modules: Mapping[str, Mapping[str, str]]) -> dict[str, Scale]:
    """The scale of each module, by its part of the pipeline."""
    metadata = _metadata(file)
    parts: dict[str, list[str]] = defaultdict(list)
    for path in modules:
        part = f"{path.partition('.')[0]}."
        parts[part if f"{part}r" in metadata else ""].append(path)
    found: dict[str, Scale] = {}
    for part, paths in parts.items():
        ranks = {
            path: next(iter(file.shapes[modules[path]["down"]]), 0) or None for path in paths if "down" in modules[path]
        }
        alphas = {path: number(file, modules[path]["alpha"]) for path in paths if "alpha" in modules[path]}
        if f"{part}r" in metadata:
            document = {key.removeprefix(part): value for key, value in metadata.items() if key.startswith(part)}
            config = PeftConfig(file.path, "LORA", document)
            short = {path.removeprefix(part): rank for path, rank in ranks.items()}
            tensors = {path.removeprefix(part): alpha for path, alpha in alphas.items()}
            made = scales(config, short, "lora_alpha", root=config.flag("use_rslora"), tensors=tensors)
            found |= {f"{part}{path}": _of_metadata(scale) for path, scale in made.items()}
            continue
        for path, rank in ranks.items():
            if path in alphas:
                found[path] = Scale(alphas[path] / (rank or 1), alphas[path], "alpha tensor/r")
            else:
                found[path] = Scale(1.0, None, "1: neither metadata nor alpha in the file")
    unscaled = Scale(1.0, None, "1")  # a module without its factor is refused by name
    return {path: found.get(path, unscaled) for path in modules}


def _of_metadata(scale: Scale) -> Scale:
    return replace(scale, source=f"lora_adapter_metadata: {scale.source}")


def _metadata(file: TensorFile) -> dict[str, Any]:
    """What the header's lora_adapter_metadata says; nothing without it."""
    if file.path.suffix in PICKLES:
        return {}
    try:
        with safe_open(file.path, framework="pt") as opened:
            text = (opened.metadata() or {}).get("lora_adapter_metadata")
        document = json.loads(text) if text else {}
    except SafetensorError:
        return {}
    except (ValueError, RecursionError) as error:
        what = f"has lora_adapter_metadata that is not valid JSON ({error})"
        raise TaskvecError(what, where=file.path, fix="save it again from diffusers") from error
    if not isinstance(document, dict):
        raise TaskvecError("has lora_adapter_metadata that is no object", where=file.path, fix="save it again")
    return document


DIFFUSERS = SingleFile("diffusers", claims, content)
