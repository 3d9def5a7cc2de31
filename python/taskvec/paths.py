"""Module paths: what wrappers add to them, the layer and the kind they name, and their flattened spelling."""

from __future__ import annotations

import re
from functools import lru_cache

# parts of a path that torch.compile, FSDP and checkpointing put around modules
WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
EXPERT = re.compile(r"\[[0-9]+\]$")


def unwrapped(path: str) -> str:
    """The path without what PEFT, torch.compile, DDP, FSDP and checkpointing put around modules."""
    text = ".".join(part for part in path.split(".") if part not in WRAPPERS)
    while (stripped := text.removeprefix("base_model.model.").removeprefix("module.")) != text:
        text = stripped
    return text.replace(".base_model.model.", ".")


@lru_cache(1 << 16)
def layer_and_kind(path: str) -> tuple[int | None, str]:
    """Number of the layer in a path, None without one, and what the module is in its layer.

    The first number is the layer's, but never one at the end, which belongs to the name before it (``to_out.0``). The
    kind is all that follows, without further numbers and without that of an expert: ``attn.c_proj``, ``mlp.c_proj``,
    ``attn1.to_out.0``; outside the layers it is the last name. Paths flattened with ``_``, as kohya's are, likewise.
    """
    plain = EXPERT.sub("", path) or path
    separator = "." if "." in plain else "_"
    parts = plain.split(separator)
    at = next((i for i, part in enumerate(parts[:-1]) if part.isdecimal()), None)
    if at is None:
        ends = 2 if parts[-1].isdecimal() else 1
        return None, plain if separator == "_" else ".".join(parts[-ends:])
    rest = [part for part in parts[at + 1 : -1] if not part.isdecimal()]
    return int(parts[at]), separator.join([*rest, parts[-1]])


def layer_of(path: str) -> str:
    """What names the layer in a module's path: encoder.layer.3. The whole path of a module without a number."""
    found = re.match(r"(?:[^.]+\.)*?[0-9]+(?=\.|$)", path)
    return found[0] if found else path


def flat(path: str) -> str:
    """The path as kohya spells it, with ``_`` for ``.``."""
    return path.replace(".", "_")


def natural(path: str) -> list[str | int]:
    """A key that sorts numbers in a path as numbers."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", path))]
