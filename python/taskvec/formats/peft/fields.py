"""The allow-list of config fields: what is read, what changes no update, and what becomes of the rest."""

from __future__ import annotations

from typing import Any

from ...errors import TaskvecError, printable
from .config import PeftConfig
from .method import Method, names

OF_EVERY_METHOD = names("""
    peft_type task_type auto_mapping peft_version base_model_name_or_path revision inference_mode r target_modules
    exclude_modules modules_to_save layers_to_transform layers_pattern bias fan_in_fan_out init_weights
    rank_pattern alpha_pattern trainable_token_indices ensure_weight_tying module_dropout rank_dropout
    qalora_group_size megatron_core megatron_config runtime_config
""")


def unknown_fields(config: PeftConfig, method: Method) -> list[str]:
    """A warning that names the fields that are set and that no rule knows.

    Raises:
        TaskvecError: one of them is a variant that is switched on (``use_…``, ``…_config``): it may change the update.
    """
    known = OF_EVERY_METHOD | method.fields
    strange = sorted(field for field, value in config.document.items() if field not in known and _is_set(value))
    for field in strange:
        if field.startswith("use_") or field.endswith("_config"):
            what = f"switches on {printable(field)[:60]}, which is not known: it may change what the update is"
            raise TaskvecError(what, where=config.path, fix="merge it into its base and extract a plain LoRA")
    if not strange:
        return []
    shown = ", ".join(printable(field)[:40] for field in strange[:5]) + (", ..." if len(strange) > 5 else "")
    return [f"config fields that are not known, and not used: {shown}"]


def _is_set(value: Any) -> bool:
    return value not in (None, False, "", 0) and value != [] and value != {}
