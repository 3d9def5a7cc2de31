"""How files are read: links, odd headers, once, not after they changed, and the digest of what was read."""

from __future__ import annotations

import json
import os
import re
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from make_adapters import PREFIX, pair, pairs, safetensors_bytes, write_adapter, write_config
from make_gguf import gguf
from taskvec import TaskvecError, load_adapter, load_zoo
from taskvec.formats.reading.files import digest
from taskvec.formats.reading.tensors import _is_finite, open_tensors
from taskvec.formats.recipe import Recipe

WEIGHTS, JSON = "adapter_model.safetensors", "adapter_config.json"


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path)
    (folder / WEIGHTS).rename(folder / "weights-1")
    (folder / WEIGHTS).symlink_to("weights-1")
    assert len(load_adapter(folder).modules) == 2


def test_links_of_the_hugging_face_cache_are_followed(tmp_path: Path) -> None:
    repository = tmp_path / "models--someone--adapter"
    folder = write_adapter(repository / "snapshots" / "0123abc")
    (repository / "blobs").mkdir()
    for name in (WEIGHTS, JSON):
        (folder / name).rename(repository / "blobs" / name)
        (folder / name).symlink_to(f"../../blobs/{name}")
    assert len(load_adapter(folder).modules) == 2
    (tmp_path / "secret").write_text("{}")
    (folder / JSON).unlink()
    (folder / JSON).symlink_to(tmp_path / "secret")
    with pytest.raises(TaskvecError, match="leads out of its folder"):
        load_adapter(folder)


def test_unaligned_data_is_read(tmp_path: Path) -> None:
    values = {"q.lora_A.weight": torch.randn(2, 5), "q.lora_B.weight": torch.randn(6, 2)}
    header, data = {}, b""
    for name, value in values.items():
        raw = value.numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (3 - len(text) % 4)
    write_config(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(safetensors_bytes(text, data))
    b, a, _ = load_adapter(tmp_path).modules["q"].update()
    assert torch.equal(a, values["q.lora_A.weight"]) and torch.equal(b, values["q.lora_B.weight"])
    assert a.data_ptr() % 4 == b.data_ptr() % 4 == 0


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_model.bin", "a.gguf", "a.npz"])
@pytest.mark.parametrize("change", ["shrinks", "grows", "is rewritten", "is gone"])
def test_a_file_that_changes_after_loading_is_one_line(tmp_path: Path, name: str, change: str) -> None:
    file = written(tmp_path, name)
    adapter = load_adapter(file)
    module = next(iter(adapter.modules.values()))
    module.update()
    if change == "is gone":
        file.unlink()
    elif change == "is rewritten":
        time.sleep(0.02)  # of a clock that ticks every 10 ms
        file.write_bytes(file.read_bytes())
    else:
        os.truncate(file, 200 if change == "shrinks" else file.stat().st_size + 1)
    words = {"is gone": "cannot be read", "shrinks": "has shrunk since it was loaded, got 200 bytes"}
    with pytest.raises(TaskvecError, match=words.get(change, "has changed since it was loaded")) as error:
        module.update()
    assert str(error.value).startswith(str(file))


def written(folder: Path, name: str) -> Path:
    """An adapter of one module, 400×300, in a weights file of any kind."""
    values = pair("q", m=400, n=300)
    if name == "a.npz":
        named = zip(("model.q_proj.lora_a", "model.q_proj.lora_b"), values.values(), strict=True)
        np.savez(folder / name, **{key: tensor.numpy().T for key, tensor in named})
        (folder / JSON).write_text('{"lora_parameters": {"scale": 1.0}}')
    elif name == "a.gguf":
        named = zip(("blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"), values.values(), strict=True)
        metadata = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 2.0}
        (folder / name).write_bytes(gguf({key: tensor.numpy() for key, tensor in named}, **metadata))
    else:
        write_adapter(folder, values, bin=name.endswith(".bin"))
    return folder / name


def test_nothing_is_held_after_loading(tmp_path: Path) -> None:
    write_adapter(tmp_path, pair("q", m=4000, n=3000))
    load_adapter(tmp_path)
    tracemalloc.start()
    adapter = load_adapter(tmp_path)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert adapter.modules["q"].update().b.shape == (4000, 2)
    assert kept < 20_000


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux, which counts the bytes that are read")
@pytest.mark.parametrize("held", [0, 64 << 20])
def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr("taskvec.formats.reading.held.HELD_BYTES", held)
    # three modules, of which the values of one are looked at again: by what they say of the start of training
    write_adapter(
        tmp_path, {k: v for i in range(3) for k, v in pair(f"h.{i}.q", m=40_000, n=3 if i else 30_000).items()}
    )
    size = sum(file.stat().st_size for file in tmp_path.iterdir())

    def read_bytes() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = read_bytes()
    load_zoo(tmp_path)
    assert size <= read_bytes() - before < (1.05 if held else 3) * size


BITS_OF = {torch.float16: (2, "F16"), torch.bfloat16: (2, "BF16"), torch.float32: (4, "F32"), torch.float64: (8, "F64")}


@pytest.mark.parametrize("dtype", BITS_OF)
def test_what_is_not_finite_is_found_by_its_bits(dtype: torch.dtype) -> None:
    size, name = BITS_OF[dtype]
    # the highest 16 bits of a number decide; the others are 0 and 1
    for low in (0, 1) if size > 2 else (0,):
        patterns = np.arange(1 << 16, dtype=f"<u{size}") << 8 * (size - 2) | low
        finite = torch.from_numpy(patterns.view(f"<i{size}")).view(dtype).isfinite().tolist()
        assert [_is_finite(memoryview(one.tobytes()), name) for one in patterns] == finite
        assert _is_finite(memoryview(patterns[finite].tobytes()), name)


@pytest.mark.parametrize("value", [torch.nan, -torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", BITS_OF)
@pytest.mark.parametrize("held", [0, 64 << 20])
def test_the_tensor_that_is_not_finite_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, dtype: torch.dtype, value: float
) -> None:
    monkeypatch.setattr("taskvec.formats.reading.held.HELD_BYTES", held)
    monkeypatch.setattr("taskvec.formats.reading.held.PIECE_BYTES", 64)
    tensors = {name: tensor.to(dtype) for name, tensor in pairs().items()} | {"mask": torch.full((3,), -1)}
    load_adapter(write_adapter(tmp_path / "good", tensors))
    name = list(tensors)[2]
    tensors[name][-1, -1] = value
    with pytest.raises(TaskvecError, match=f"has NaN or Inf in {re.escape(name)}"):
        load_adapter(write_adapter(tmp_path / "bad", tensors))
    left_out = {**tensors, name: tensors[name].nan_to_num(), "lm_head.weight": torch.full((2, 2), torch.nan).to(dtype)}
    assert load_adapter(write_adapter(tmp_path / "head", left_out)).left_out


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux, which lists a process's maps")
@pytest.mark.parametrize("name", [WEIGHTS, "a.gguf", "a.npz"])
def test_loading_leaves_no_map(tmp_path: Path, name: str) -> None:
    """A process may have 65,530; torch's pickles are mapped, the latest 64 of them."""
    file = written(tmp_path, name)
    adapter = load_adapter(file)
    next(iter(adapter.modules.values())).update()
    assert str(file) not in Path("/proc/self/maps").read_text()


def test_threads_change_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"r{i:03}" for i in range(50)]
    for i, name in enumerate(names):
        write_adapter(tmp_path / name, pairs(seed=i))
    for broken in ("r020", "r040"):
        (tmp_path / broken / WEIGHTS).write_bytes(b"")
    zoos = {}
    for threads in (1, 4):
        monkeypatch.setattr("taskvec.sources.MOST_THREADS", threads)
        monkeypatch.setattr("os.sched_getaffinity", lambda _: range(4), raising=False)
        zoos[threads] = load_zoo(tmp_path, skip_bad=True)
        with pytest.raises(TaskvecError, match="r020"):
            load_zoo(tmp_path)
    assert [adapter.name for adapter in zoos[4].adapters] == [name for name in names if name not in ("r020", "r040")]
    assert [adapter.digest for adapter in zoos[1].adapters] == [adapter.digest for adapter in zoos[4].adapters]
    assert zoos[1].skipped == zoos[4].skipped and zoos[1].warnings == zoos[4].warnings


@pytest.mark.parametrize("held", [0, 64 << 20])
def test_what_is_held_changes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr("taskvec.formats.reading.held.HELD_BYTES", held)
    tensors = pair("q", m=40, n=30) | {f"x{dtype}": torch.ones(3, dtype=dtype) for dtype in (torch.int8, torch.half)}
    adapter = load_adapter(write_adapter(tmp_path, tensors))
    b, a, _ = adapter.modules["q"].update()
    assert torch.equal(b, tensors[f"{PREFIX}q.lora_B.weight"]) and torch.equal(a, tensors[f"{PREFIX}q.lora_A.weight"])
    assert adapter.digest == digest(tmp_path / WEIGHTS, tmp_path / JSON)


def test_digest_depends_on_weights_and_config(tmp_path: Path) -> None:
    same = [load_adapter(write_adapter(tmp_path / name)).digest for name in "ab"]
    config = load_adapter(write_adapter(tmp_path / "c", lora_alpha=5)).digest
    weights = load_adapter(write_adapter(tmp_path / "d", pairs(seed=1))).digest
    assert same[0] == same[1] and len({same[0], config, weights}) == 3
    assert len(same[0]) == 64


def test_numbers_that_make_no_update_are_one_line(tmp_path: Path) -> None:
    """A rotation whose matrix has no inverse, as changed bytes of an OFT give."""
    save_file({"q.weight": torch.zeros(2, 2)}, tmp_path / "a.safetensors")
    recipe = Recipe(open_tensors(tmp_path / "a.safetensors"), ("q.weight",), torch.linalg.inv)
    with pytest.raises(TaskvecError, match=r"has numbers in q\.weight of which no update can be made") as error:
        recipe()
    assert "\n" not in str(error.value)


def test_factors_of_three_dimensions_are_looked_at_as_matrices(tmp_path: Path) -> None:
    save_file({"unet:0:up": torch.ones(1, 1, 2), "unet:0:down": torch.ones(2, 1)}, tmp_path / "a.safetensors")
    (module,) = load_adapter(tmp_path / "a.safetensors").modules.values()
    assert module.shape == (1, 1)
