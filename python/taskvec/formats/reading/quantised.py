"""Quantised models, told by the names and dtypes of their tensors: their numbers are not the model's weights."""

from __future__ import annotations

import re
from collections.abc import Iterable

# a tensor's name ends so, and the method that writes it
SIGNS = (
    (r"\.quant_state\.bitsandbytes__\w+$|\.absmax$|\.SCB$", "bitsandbytes"),
    (r"\.g_idx$", "GPTQ"),
    (r"\.qweight$", "GPTQ or AWQ"),
    (r"\.weight_scale(_inv)?$|\.input_scale$", "fp8 or compressed tensors"),
    (r"\.weight_packed$", "compressed tensors"),
    (r"_proj_blocks$", "MXFP4"),
    (r"\.scales$", "MLX or another method with scales"),
    (r"\.W_q$", "HQQ"),
)


def quantised_by(names: Iterable[str]) -> str | None:
    """The method that quantised a model with tensors of these names, None for a plain one."""
    names = list(names)
    found = (method for pattern, method in SIGNS if any(re.search(pattern, name) for name in names))
    return next(found, None)
