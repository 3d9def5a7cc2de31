"""Spellings of one module in several tools, brought to one: that of transformers and diffusers.

A spelling is the part of the pipeline that a module belongs to, and its path in that part, flattened with ``_`` as
kohya writes it. Tables: diffusers' lora_conversion_utils.py, torchtune's convert_weights.py, llama.cpp's
tensor_mapping.py.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ..paths import flat

DENOISER = "denoiser"
# first names of a path, and how flattened paths begin: the part of the pipeline
PARTS = {
    "unet": DENOISER,
    "transformer": DENOISER,
    "diffusion_model": DENOISER,
    "transformer_2": "denoiser_2",
    "text_encoder": "text_encoder",
    "text_encoder_2": "text_encoder_2",
    "text_encoder_3": "text_encoder_3",
    "lora_unet": DENOISER,
    "lora_transformer": DENOISER,
    "lora_prior_unet": DENOISER,
    "lora_te": "text_encoder",
    "lora_te1": "text_encoder",
    "lora_te2": "text_encoder_2",
    "lora_te3": "text_encoder_3",
    "lora_prior_te": "text_encoder",
    "lycoris": "",
}
PREFIXES = sorted((name for name in PARTS if name.startswith(("lora_", "lycoris"))), key=len, reverse=True)
RESNET = {
    "in_layers_2": "conv1",
    "out_layers_3": "conv2",
    "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
WAN = {"self_attn": "attn1", "cross_attn": "attn2", "q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out_0"}
FLUX = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in_in_layer": "time_text_embed_timestep_embedder_linear_1",
    "time_in_out_layer": "time_text_embed_timestep_embedder_linear_2",
    "vector_in_in_layer": "time_text_embed_text_embedder_linear_1",
    "vector_in_out_layer": "time_text_embed_text_embedder_linear_2",
    "guidance_in_in_layer": "time_text_embed_guidance_embedder_linear_1",
    "guidance_in_out_layer": "time_text_embed_guidance_embedder_linear_2",
    "final_layer_linear": "proj_out",
    "final_layer_adaLN_modulation_1": "norm_out_linear",
}
FLUX_STREAM = {
    "img_attn_proj": "attn_to_out_0",
    "img_attn_to_q": "attn_to_q",
    "img_attn_to_k": "attn_to_k",
    "img_attn_to_v": "attn_to_v",
    "img_mlp_0": "ff_net_0_proj",
    "img_mlp_2": "ff_net_2",
    "img_mod_lin": "norm1_linear",
    "txt_attn_proj": "attn_to_add_out",
    "txt_attn_to_q": "attn_add_q_proj",
    "txt_attn_to_k": "attn_add_k_proj",
    "txt_attn_to_v": "attn_add_v_proj",
    "txt_mlp_0": "ff_context_net_0_proj",
    "txt_mlp_2": "ff_context_net_2",
    "txt_mod_lin": "norm1_context_linear",
}
FLUX_SINGLE = {
    "to_q": "attn_to_q",
    "to_k": "attn_to_k",
    "to_v": "attn_to_v",
    "proj_mlp": "proj_mlp",
    "linear2": "proj_out",
    "modulation_lin": "norm_linear",
}
MIXTRAL = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


class Spelling(NamedTuple):
    """Where a module is: "" for a part that its path does not name."""

    part: str
    path: str


@lru_cache(2**14)  # the adapters of a zoo have the same paths
def spelling(path: str) -> Spelling:
    """The one spelling of a path, whatever tool wrote it."""
    part, rest = _part(path)
    rest = _one_name(flat(rest))
    return Spelling(part, rest.removeprefix("text_model_") if part.startswith("text_encoder") else rest)


def _part(path: str) -> tuple[str, str]:
    first, dot, rest = path.partition(".")
    if dot:
        return (PARTS[first], rest) if first in PARTS else ("", path)
    for prefix in PREFIXES:
        if path.startswith(f"{prefix}_"):
            return PARTS[prefix], path.removeprefix(f"{prefix}_")
    return "", path


def _one_name(path: str) -> str:
    """A flattened path of sgm's UNet, of BFL's FLUX, of Wan, or of transformers 4's Mixtral, as it is called today."""
    if match := re.fullmatch(r"input_blocks_(\d+)_0_op", path):
        return f"down_blocks_{int(match[1]) // 3 - 1}_downsamplers_0_conv"
    if match := re.fullmatch(r"(input|output)_blocks_(\d+)_([01])_(.+)", path):
        number = int(match[2]) - (match[1] == "input")
        side = "down" if match[1] == "input" else "up"
        kind = "resnets" if match[3] == "0" else "attentions"
        rest = RESNET.get(match[4], match[4])
        return f"{side}_blocks_{number // 3}_{kind}_{number % 3}_{rest}"
    if match := re.fullmatch(r"middle_block_([012])_(.+)", path):
        place = {"0": "resnets_0", "1": "attentions_0", "2": "resnets_1"}[match[1]]
        return f"mid_block_{place}_{RESNET.get(match[2], match[2])}"
    if path in FLUX:
        return FLUX[path]
    if match := re.fullmatch(r"double_blocks_(\d+)_(.+)", path):
        return f"transformer_blocks_{match[1]}_{FLUX_STREAM.get(match[2], match[2])}"
    if match := re.fullmatch(r"single_blocks_(\d+)_(.+)", path):
        return f"single_transformer_blocks_{match[1]}_{FLUX_SINGLE.get(match[2], match[2])}"
    if match := re.fullmatch(r"(.+_)block_sparse_moe_experts_(\d+)_(w[123])", path):
        return f"{match[1]}mlp_experts_{match[2]}_{MIXTRAL[match[3]]}"
    if match := re.fullmatch(r"(blocks_\d+)_(self_attn|cross_attn)_([qkvo])", path):
        return f"{match[1]}_{WAN[match[2]]}_{WAN[match[3]]}"
    if match := re.fullmatch(r"(blocks_\d+)_ffn_([02])", path):
        return f"{match[1]}_ffn_net_{'0_proj' if match[2] == '0' else '2'}"
    return path
