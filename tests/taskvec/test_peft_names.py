"""Names in PEFT's files: prefixes, wrappers, adapters' names in keys, and the patterns of a config."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from make_adapters import pair, pairs, write_adapter
from taskvec import TaskvecError, load_adapter
from taskvec.formats.peft.patterns import all_matches


@pytest.mark.parametrize("count", [0, 1, 4])
def test_any_number_of_prefixes_is_removed(tmp_path: Path, count: int) -> None:
    write_adapter(tmp_path, pair("h.0.q", prefix="base_model.model." * count))
    module = load_adapter(tmp_path).modules["h.0.q"]
    assert (module.layer, module.kind) == (0, "q")


@pytest.mark.parametrize("name", ["default", "lora_x", "lora_B", "v1.2"])
def test_names_with_the_adapter_in_them(tmp_path: Path, name: str) -> None:
    tensors = {key.replace(".weight", f".{name}.weight"): tensor for key, tensor in pairs().items()}
    tensors |= {f"words.lora_embedding_A.{name}": torch.ones(2, 11), f"words.lora_embedding_B.{name}": torch.ones(3, 2)}
    write_adapter(tmp_path, tensors)
    modules = load_adapter(tmp_path).modules
    assert {path: module.shape for path, module in modules.items()} == {
        "h.0.q": (6, 5),
        "h.1.q": (6, 5),
        "words": (3, 11),
    }


@pytest.mark.parametrize(
    "prefix",
    [
        "module.base_model.model.", "base_model.model.module.", "base_model.model._orig_mod.", "_orig_mod.",
        "_fsdp_wrapped_module.base_model.model._checkpoint_wrapped_module.",
    ],
)  # fmt: skip
def test_wrappers_of_other_libraries_are_removed(tmp_path: Path, prefix: str) -> None:
    tensors = pair("h.0.q", prefix=prefix) | pair("h.1._checkpoint_wrapped_module.q", prefix=prefix)
    assert set(load_adapter(write_adapter(tmp_path, tensors)).modules) == {"h.0.q", "h.1.q"}


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(.*)*b", "(a|aa)+$b", "((a{1,60}){1,60}){1,60}b", "(?:" * 3000 + "a" + ")*" * 3000]
)
def test_a_pattern_that_backtracks_without_end_costs_half_a_second(tmp_path: Path, pattern: str) -> None:
    write_adapter(tmp_path, pair("a" * 60))
    load_adapter(write_adapter(tmp_path / "warm", alpha_pattern={"h.[0-9].q": 3}))  # starts the process
    write_adapter(tmp_path, pair("a" * 60), alpha_pattern={pattern: 3})
    begin = time.perf_counter()
    with pytest.raises(TaskvecError, match=r"adapter_config.json: has patterns that cannot be matched"):
        load_adapter(tmp_path)
    # 0.4 s, and twice that for a machine that does other things too
    assert time.perf_counter() - begin < 1.2
    assert {module.alpha for module in load_adapter(tmp_path / "warm").modules.values()} == {3}


def test_two_patterns_that_differ_for_a_module_are_said(tmp_path: Path) -> None:
    patterns = {"1.q": 8, "h.*q": 16, "h.1.q": 16}
    as_written = load_adapter(write_adapter(tmp_path, alpha_pattern=dict(reversed(patterns.items()))))
    assert {module.alpha for module in as_written.modules.values()} == {16} and not as_written.warnings
    adapter = load_adapter(write_adapter(tmp_path, alpha_pattern=patterns))
    assert [module.alpha for module in adapter.modules.values()] == [16, 8]
    assert adapter.warnings == (
        "1 of 2 modules: alpha_pattern matches it by '1.q' (8) and by 'h.*q' (16): the first is taken, but PEFT sorts "
        "them when it saves, and may have trained with the other",
    )


@given(
    st.lists(st.text("ab.-[", min_size=1, max_size=6), max_size=4, unique=True),
    st.lists(st.text("ab.", min_size=1, max_size=9), max_size=4),
)
def test_names_are_matched_as_the_expressions_that_they_are(patterns: list[str], paths: list[str]) -> None:
    patterns = [re.escape(pattern) if "[" in pattern else pattern for pattern in patterns]
    expected = [[p for p in patterns if re.match(rf"(.*\.)?({p})$", path)] for path in paths]
    assert all_matches(patterns, paths, Path("config")) == expected
