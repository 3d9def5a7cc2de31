"""Flattened paths (kohya's) with their dots again: by the names of more than one word that diffusers' models have."""

from __future__ import annotations

import re

from ..formats.spelling import DENOISER, spelling

# names with an underscore in them; all others are single words
NAMES = """
    down_blocks up_blocks mid_block transformer_blocks single_transformer_blocks double_blocks single_blocks
    joint_blocks to_q to_k to_v to_out to_add_out add_q_proj add_k_proj add_v_proj add_out_proj to_k_ip to_v_ip
    proj_in proj_out proj_mlp conv_in conv_out conv_shortcut time_emb_proj time_embedding add_embedding linear_1
    linear_2 ff_context norm1_context norm_out context_embedder x_embedder time_text_embed timestep_embedder
    text_embedder guidance_embedder img_attn txt_attn img_mlp txt_mlp img_mod txt_mod text_model vision_model
    self_attn cross_attn q_proj k_proj v_proj o_proj out_proj up_proj gate_proj down_proj text_projection
    visual_projection token_embedding position_embedding patch_embedding text_embedding time_projection k_img v_img
    time_embed label_emb encoder_hid_proj linear_in linear_out final_layer adaln_modulation adaLN_modulation
    feed_forward layer_norm final_layer_norm layer_norm1 layer_norm2 SelfAttention EncDecAttention DenseReluDense
    wi_0 wi_1 shared embed_tokens attention_norm1 ffn_norm1 adaln_single proj_1 caption_projection caption_embedder
"""
ATOMS = sorted(set(NAMES.split()), key=len, reverse=True)
TOKEN = re.compile("|".join([*(rf"{name}(?=_|$)" for name in ATOMS), r"[^_]+"]))


def dotted(path: str) -> tuple[str, str]:
    """The part of the pipeline, "" where the path names none, and the module's path in it, as diffusers has them."""
    part, spelled = spelling(path)
    if "." in path:
        first, _, rest = path.partition(".")
        return (first, rest) if part else ("", path)
    if not part and spelled == path:
        return "", path
    name = part.replace("denoiser", "unet" if re.match(r"(down|up|mid)_", spelled) else "transformer", 1)
    return name if part.startswith(DENOISER) else part, ".".join(TOKEN.findall(spelled))
