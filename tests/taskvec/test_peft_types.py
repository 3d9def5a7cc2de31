"""Every method that PEFT has: read, or refused by its own name; every field of its config is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from peft import PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from make_adapters import write_adapter
from taskvec import TaskvecError, load_adapter
from taskvec.formats.peft.fields import OF_EVERY_METHOD
from taskvec.formats.peft.methods import METHODS
from taskvec.formats.peft.refused import REASONS

pytestmark = pytest.mark.peft
TYPES = sorted(kind.value for kind in PeftType)


@pytest.mark.parametrize("peft_type", TYPES)
def test_every_method_is_read_or_refused_by_its_own_name(tmp_path: Path, peft_type: str) -> None:
    assert (peft_type in METHODS) != (peft_type in REASONS)
    if peft_type in REASONS:
        write_adapter(tmp_path, {}, peft_type=peft_type)
        with pytest.raises(TaskvecError, match=f"is an adapter of peft_type {peft_type}: "):
            load_adapter(tmp_path)


@pytest.mark.parametrize("peft_type", sorted(METHODS.keys() & set(TYPES)))
def test_no_field_of_its_config_is_unknown(peft_type: str) -> None:
    fields = {field.name for field in dataclasses.fields(PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(peft_type)])}
    # AdaLoRA's config has the fields of LoRA's, of which it refuses the variants
    inherited = METHODS["LORA"].fields if peft_type == "ADALORA" else frozenset()
    assert fields <= OF_EVERY_METHOD | METHODS[peft_type].fields | inherited
