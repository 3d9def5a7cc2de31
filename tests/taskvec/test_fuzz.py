"""Files changed at random, and tensors of any name, shape and kind: read, or refused in one line, and nothing else.

The seed is fixed and the examples few. ``make fuzz`` runs them with other seeds for as long as it is told, over the
files of TASKVEC_TEST_TRUTH too, where it names a folder.
"""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from make_adapters import CONFIG, PREFIX, pair, pairs
from make_gguf import gguf
from taskvec import TaskvecError, load_adapter, load_zoo
from taskvec.adapters import Adapter
from taskvec.formats.peft.methods import METHODS
from taskvec.zoo import Zoo

EXAMPLES = int(os.environ.get("TASKVEC_FUZZ_EXAMPLES", "20"))
SECONDS = 0.5  # of this process, for one reading of files of a few kilobytes; the median of three, as machines pause
fuzz = settings(
    max_examples=EXAMPLES,
    derandomize="TASKVEC_FUZZ_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

BASE = "base"  # what a folder or a file of a base model is called, in a case's folder
Files = dict[str, bytes]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other would count as time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def saved(tensors: Any) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


def zipped(tensors: Mapping[str, Tensor]) -> bytes:
    """What numpy.savez writes."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: tensor.numpy() for name, tensor in tensors.items()})
    return buffer.getvalue()


def named(b: str, a: str) -> dict[str, Tensor]:
    return {b: torch.ones(6, 2), a: torch.ones(2, 5)}


def peft(weights: bytes, name: str = "adapter_model.safetensors", **config: object) -> Files:
    return {name: weights, "adapter_config.json": json.dumps(CONFIG | config).encode()}


FLUX = "double_blocks.0.processor.qkv_lora1"
SHARD = "adapter_model-{:05}-of-00002.safetensors"
SHARDED = {name: SHARD.format(1 + ("h.1" in name)) for name in pairs()}
LORA_GGUF: dict[str, Any] = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 8.0}
GGUF = named("blk.0.attn_q.weight.lora_b", "blk.0.attn_q.weight.lora_a")
MLX = {"model.layers.0.q_proj.lora_a": torch.ones(5, 2), "model.layers.0.q_proj.lora_b": torch.ones(2, 6)}
SCALE = json.dumps({"lora_parameters": {"rank": 2, "scale": 2.0, "dropout": 0.0}}).encode()
CORPUS: dict[str, Files] = {
    "peft": peft(save(pairs()), rank_pattern={"h.0": 2}, alpha_pattern={"h.*.q": 3}, target_modules=["q"]),
    "peft .bin": peft(saved(pairs()), "adapter_model.bin"),
    "peft shards": {
        "adapter_config.json": json.dumps(CONFIG).encode(),
        "adapter_model.safetensors.index.json": json.dumps({"metadata": {}, "weight_map": SHARDED}).encode(),
        **{SHARD.format(i + 1): save(pair(path)) for i, path in enumerate(("h.0.q", "h.1.q"))},
    },
    "kohya": {"a.safetensors": save(named("lora_unet_x.lora_up.weight", "lora_unet_x.lora_down.weight"))},
    "diffusers": {"a.safetensors": save(named("unet.a.to_q.lora.up.weight", "unet.a.to_q.lora.down.weight"))},
    "xlabs": {"a.safetensors": save(named(f"{FLUX}.up.weight", f"{FLUX}.down.weight"))},
    "mlx": {"adapters.safetensors": save(MLX), "adapter_config.json": SCALE},
    "mlx .npz": {"adapters.npz": zipped(MLX), "adapter_config.json": SCALE},
    "gguf": {"a.gguf": gguf({name: tensor.numpy() for name, tensor in GGUF.items()}, **LORA_GGUF)},
    "torchtune": peft(save(named("l.0.q_proj.lora_b.weight", "l.0.q_proj.lora_a.weight")), "adapter.safetensors"),
    "a list": {"lora.pt": saved([torch.ones(6, 2), torch.ones(2, 5)])},
}


def weights(seed: float) -> Files:
    """A model of two matrices and a vector."""
    model = {f"h.{i}.q.weight": torch.full((6, 5), seed + i) for i in (0, 1)} | {"norm.weight": torch.ones(5)}
    return {"model.safetensors": save(model), "config.json": b'{"model_type": "llama", "num_attention_heads": 2}'}


def under(folder: str, files: Files) -> Files:
    return {f"{folder}/{name}": data for name, data in files.items()}


DORA = pairs() | {f"{PREFIX}h.{i}.q.lora_magnitude_vector": torch.ones(6) for i in (0, 1)}
CORPUS |= {
    "peft with its base": peft(save(DORA), use_dora=True) | under(BASE, weights(0.5)),
    "a model and its base": under(BASE, weights(0.5)) | under("tuned", weights(0.25)),
}

if "TASKVEC_FUZZ_EXAMPLES" in os.environ and "TASKVEC_TEST_TRUTH" in os.environ:
    for case in Path(os.environ["TASKVEC_TEST_TRUTH"]).iterdir():
        found = [file for file in case.rglob("*") if file.is_file() and file.name not in ("delta.npz", "SOURCE.json")]
        if found and sum(file.stat().st_size for file in found) < 200_000:
            CORPUS[case.name] = {file.relative_to(case).as_posix(): file.read_bytes() for file in found}

PIECES = (
    b"\xff" * 8,
    b"\0" * 8,
    b"[" * 50,
    b'{"x":',
    b"1" * 30,
    b"-1",
    b"1e999",
    b"NaN",
    b"\\ud800",
    b"PK\x05\x06",
    b".",
)
CHANGE = st.tuples(
    st.sampled_from(("flip", "cut", "drop", "insert", "repeat", "copy")),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 255),
    st.sampled_from(PIECES),
)


def changed(data: bytes, how: str, at: float, byte: int, piece: bytes) -> bytes:
    """One change; half of them in the first hundredth of the places, where headers are."""
    i = int((at * 2 - 1 if at > 0.5 else at**2) * len(data))
    match how:
        case "flip":
            return data[:i] + bytes([byte]) + data[i + 1 :]
        case "cut":
            return data[:i]
        case "drop":
            return data[:i] + data[i + 1 + byte // 16 :]
        case "insert":
            return data[:i] + piece + data[i:]
        case "repeat":
            return data[:i] + data[max(0, i - byte) : i] + data[i:]
    return data[:i] + piece + data[i + len(piece) :]


def write_files(folder: Path, files: Files) -> None:
    for name, data in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def readings(folder: Path) -> Iterator[Callable[[], Zoo | Adapter]]:
    """Every way of reading what is there."""
    yield lambda: load_adapter(folder)
    yield lambda: load_zoo(folder, skip_bad=True, recursive=True, dora="low-rank")
    yield lambda: load_zoo(folder, skip_bad=True, recursive=True, alpha=3.0, split_fused=True, heads="2")
    for base in folder.glob(f"{BASE}*"):
        yield partial(load_adapter, folder, base=base, scale=0.5)
        yield partial(load_adapter, f"{base}..{folder / 'tuned'}")


def read_all(folder: Path) -> None:
    """Everything that reads, ends in time and with a result or with one line."""
    for reading in readings(folder):
        assert seconds(reading) < SECONDS or median(seconds(reading) for _ in range(3)) < SECONDS
    assert not list(folder.rglob("pickle-*"))


def seconds(reading: Callable[[], Zoo | Adapter]) -> float:
    """What one reading took."""
    start = time.process_time()
    try:
        loaded = reading()
        for adapter in getattr(loaded, "adapters", (loaded,)):
            for module in adapter.modules.values():
                made = module.update()
                sides = (made.b.shape[0], made.a.shape[1]) if hasattr(made, "b") else tuple(made.tuned.shape)
                assert sides == module.shape and math.isfinite(module.scale)
    except TaskvecError as error:
        assert "\n" not in str(error) and str(error).isprintable() and len(str(error)) < 5000
    return time.process_time() - start


@pytest.mark.parametrize("kind", CORPUS)
def test_files_that_were_changed(kind: str) -> None:
    files = CORPUS[kind]

    @fuzz
    @given(st.sampled_from(sorted(files)), st.lists(CHANGE, min_size=1, max_size=3))
    def check(name: str, changes: list[tuple[str, float, int, bytes]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            given = dict(files)
            for change in changes:
                given[name] = changed(given[name], *change)
            write_files(Path(folder), given)
            read_all(Path(folder))

    check()


SIZES = st.sampled_from((1, 2, 2, 2, 4, 4, 6, 0))
DTYPES = st.sampled_from((torch.float32,) * 6 + (torch.float16, torch.int64, torch.int32, torch.bool, torch.complex64))
SPECIAL = st.sampled_from((1.0,) * 8 + (0.0, float("nan"), float("inf"), 1e38, -1.0))


@st.composite
def tensor(draw: st.DrawFn) -> Tensor:
    shape = draw(st.lists(SIZES, min_size=draw(st.sampled_from((0, 2, 2, 2))), max_size=draw(st.sampled_from((2, 5)))))
    return torch.full(shape, draw(SPECIAL)).to(draw(DTYPES))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.sampled_from((1 << 80, 1e300, 1e-300, 0.5, "", "q", "h.1.q", "(")),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(("q", "h.*", "(a+)+b", "x")), inner, max_size=2)
    ),
    max_leaves=3,
)
BASE_OF_ALL = {
    "h.0.q.weight": torch.arange(16.0).reshape(4, 4),
    "h.0.q.bias": torch.ones(4),
    "h.1.q.weight": torch.arange(12.0).reshape(2, 6),
    "a.to_q.weight": torch.ones(4, 4),
    "x.weight": torch.ones(4, 2),
    "l.0.q_proj.weight": torch.arange(16.0).reshape(4, 4),
    "y.weight": torch.arange(64.0).reshape(4, 4, 2, 2),
    "h.0.conv.weight": torch.ones(4, 2, 2, 2),
}
WITH_BASE = under(BASE, {"model.safetensors": save(BASE_OF_ALL)})
MODULES = ("h.0.q", "h.1.q", "h.0.mlp.experts", "h.0.mlp.experts.base_layer", "")


@pytest.mark.parametrize("method", sorted(METHODS))
def test_tensors_of_any_shape_in_the_names_of_peft(method: str) -> None:
    known = METHODS[method]
    roles = sorted(known.roles | known.shared | known.training_only | {"dora_scale", f"{known.prefix}new"})
    fields = sorted(known.fields | {"r", "lora_alpha", "alpha", "rank_pattern", "alpha_pattern", "target_modules"})
    ends = ("", ".weight", ".default", ".default.weight", ".0", ".bias")
    names = st.tuples(st.sampled_from(MODULES), st.sampled_from(roles), st.sampled_from(ends))

    @fuzz
    @given(
        st.dictionaries(names, tensor(), min_size=1, max_size=6),
        st.dictionaries(st.sampled_from(fields), ANYTHING, max_size=3),
    )
    def check(tensors: dict[tuple[str, str, str], Tensor], config: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            flat = {f"{PREFIX}{path}.{role}{end}": value for (path, role, end), value in tensors.items()}
            files = peft(save(flat), **{"peft_type": method} | config)
            write_files(Path(folder), files | (WITH_BASE if known.on_base or method == "LORA" else {}))
            read_all(Path(folder))

    check()


LORA = (
    "lora_up.weight",
    "lora_down.weight",
    "lora_mid.weight",
    "alpha",
    "dora_scale",
    "scale",
    "rank",
    "weight",
    "bias",
)
LYCORIS = (
    *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "diff", "diff_b", "w_norm", "b_norm"),
    *("lokr_w1", "lokr_w2", "lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "a1.weight", "b1.weight"),
    *("on_input", "lambda_layer", "oft_blocks", "rescale"),
)
VOCABULARY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "kohya": (("lora_unet_a_to_q", "lora_te1_x", "lycoris_y", "lora_unet_double_blocks_0_img_attn_qkv"), LORA),
    "lycoris": (("lora_unet_a_to_q", "lycoris_y"), (*LYCORIS, "alpha", "dora_scale")),
    "diffusers": (
        ("unet.a.to_q", "text_encoder.x", "transformer.y", "diffusion_model.z", "unet.a.attn1.processor"),
        (
            *("lora.up.weight", "lora.down.weight", "lora_A.weight", "lora_B.weight", "lora_A.default.weight", "alpha"),
            *("to_q_lora.up.weight", "to_q_lora.down.weight", "lora_magnitude_vector", "lora_linear_layer.up.weight"),
        ),
    ),
    "xlabs": (
        ("double_blocks.0.processor", "single_blocks.1.processor"),
        tuple(f"{role}.{side}.weight" for role in ("qkv_lora1", "qkv_lora", "proj_lora2") for side in ("up", "down")),
    ),
    "mlx": (
        ("model.layers.0.q_proj", "model.layers.0.mlp.experts", "x"),
        ("lora_a", "lora_b", "m", "weight", "scales"),
    ),
    "torchtune": (("l.0.q_proj", "x"), ("lora_a.weight", "lora_b.weight", "magnitude", "weight")),
    "adapters": (("bert.encoder.layer.0.q.loras.t", "x.loras.s"), ("lora_A", "lora_B", "gate", "scaling")),
    "w_a": (("w_a_000", "w_b_000", "unet:0:up", "unet:0:down"), ("", "weight")),
    "loralib": (("h.0.q", "h.0.conv"), ("lora_A", "lora_B")),
    "lora-vit": (("w_a_000", "w_a_001", "w_b_000", "w_b_001", "fc_768in_10out"), ("", "weight")),
    "cloneofsimo": (("unet:0:up", "unet:0:down", "text_encoder:0:up", "text_encoder:0:down", "<s1>"), ("",)),
    "nemo": (
        ("decoder.layers.0.self_attention.linear_qkv.adapter", "x.adapter"),
        ("linear_in.weight", "linear_out.weight", "adapter_q.linear_in.weight", "adapter_q.linear_out.weight"),
    ),
}


NEED_BASE = ("lycoris", "kohya", "diffusers", "mlx", "torchtune", "adapters", "loralib")


@fuzz
@given(st.lists(tensor(), min_size=1, max_size=6))
def test_lists_of_tensors_of_any_shape(tensors: list[Tensor]) -> None:
    """What cloneofsimo's tool saves: up, down, up, down, …"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "lora.pt").write_bytes(saved(tensors))
        read_all(Path(folder))


@pytest.mark.parametrize("kind", VOCABULARY)
def test_tensors_of_any_shape_in_the_names_of_other_formats(kind: str) -> None:
    modules, roles = VOCABULARY[kind]
    names = st.tuples(st.sampled_from(modules), st.sampled_from(roles))

    @fuzz
    @given(
        st.dictionaries(names, tensor(), min_size=1, max_size=6),
        st.none()
        | st.dictionaries(
            st.sampled_from(("lora_parameters", "r", "lora_alpha", "config", "fine_tune_type")), ANYTHING
        ),
        st.sampled_from(("a.safetensors", "a.pt", "a.npz")),
    )
    def check(tensors: dict[tuple[str, str], Tensor], config: dict[str, Any] | None, file: str) -> None:
        flat = {".".join(filter(None, name)): value for name, value in tensors.items()}
        write = {".pt": saved, ".npz": zipped}.get(Path(file).suffix, save)
        with tempfile.TemporaryDirectory() as folder:
            configs = {} if config is None else {"adapter_config.json": json.dumps(config).encode()}
            write_files(Path(folder), {file: write(flat)} | configs | (WITH_BASE if kind in NEED_BASE else {}))
            read_all(Path(folder))

    check()
