"""How files are read: links, odd headers, mapped memory, and the digest of what was read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from make_adapters import pairs, safetensors_bytes, write_adapter, write_config
from taskvec import TaskvecError, load_adapter

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


def test_factors_are_views_of_the_mapped_file(tmp_path: Path) -> None:
    for bin in (False, True):
        folder = write_adapter(tmp_path / str(bin), bin=bin)
        adapter = load_adapter(folder)
        b, _, _ = adapter.modules["h.0.q"].update()
        file = next(folder.glob("adapter_model.*"))
        assert any(_covers(line, b.data_ptr()) for line in _maps() if line.endswith(str(file)))


def _maps() -> list[str]:
    return Path("/proc/self/maps").read_text().splitlines()


def _covers(line: str, address: int) -> bool:
    start, end = (int(text, 16) for text in line.split()[0].split("-"))
    return start <= address < end


def test_digest_depends_on_weights_and_config(tmp_path: Path) -> None:
    same = [load_adapter(write_adapter(tmp_path / name)).digest for name in "ab"]
    config = load_adapter(write_adapter(tmp_path / "c", lora_alpha=5)).digest
    weights = load_adapter(write_adapter(tmp_path / "d", pairs(seed=1))).digest
    assert same[0] == same[1] and len({same[0], config, weights}) == 3
    assert len(same[0]) == 64
