"""Modules of language models as torchtune and llama.cpp call them, and as transformers does.

Tables: torchtune's convert_weights.py, llama.cpp's tensor_mapping.py.
"""

from __future__ import annotations

import re

LLAMA = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TORCHTUNE = {
    "attn.q_proj": "self_attn.q_proj",
    "attn.k_proj": "self_attn.k_proj",
    "attn.v_proj": "self_attn.v_proj",
    "attn.output_proj": "self_attn.o_proj",
    "mlp.w1": "mlp.gate_proj",
    "mlp.w2": "mlp.down_proj",
    "mlp.w3": "mlp.up_proj",
}


def of_format(path: str, format: str) -> str:
    """The path as transformers spells it, of formats that name the modules of language models otherwise."""
    if format == "torchtune" and (match := re.fullmatch(r"(layers\.\d+)\.(.+)", path)):
        return f"{match[1]}.{TORCHTUNE.get(match[2], match[2])}"
    if format == "gguf":
        if match := re.fullmatch(r"blk\.(\d+)\.(\w+)", path):
            return f"layers.{match[1]}.{LLAMA.get(match[2], match[2])}"
        return {"token_embd": "embed_tokens", "output": "lm_head"}.get(path, path)
    return path
