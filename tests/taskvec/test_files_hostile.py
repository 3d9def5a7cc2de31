"""Every way in which a file can be bad: one line that names the file and the fix, never anything else."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from make_adapters import CONFIG, PREFIX, pair, pairs, safetensors_bytes, write_adapter, write_config
from taskvec import TaskvecError, load_adapter
from taskvec.cli import main
from taskvec.formats.reading.header import parse_header

WEIGHTS, BIN, JSON = "adapter_model.safetensors", "adapter_model.bin", "adapter_config.json"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 12345\n"
F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
F32_JSON = json.dumps(F32).encode()

Break = Callable[[Path], object]


def weights(data: bytes) -> Break:
    return lambda folder: (folder / WEIGHTS).write_bytes(data)


def config(text: str | bytes) -> Break:
    return lambda folder: (folder / JSON).write_bytes(text.encode() if isinstance(text, str) else text)


def changed(**changes: object) -> Break:
    return lambda folder: write_config(folder, **changes)


def tensors(values: dict[str, torch.Tensor]) -> Break:
    return lambda folder: write_adapter(folder, values)


def without(part: str) -> Break:
    return tensors({name: tensor for name, tensor in pairs().items() if part not in name})


def removed(name: str) -> Break:
    return lambda folder: (folder / name).unlink()


def instead(name: str, make: Callable[[Path], object]) -> Break:
    return lambda folder: ((folder / name).unlink(), make(folder / name))


def pickled(value: object) -> Break:
    def make(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        torch.save(value, folder / BIN)

    return make


def linked(name: str, target: str) -> Break:
    def make(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return make


def truncated(name: str, count: int) -> Break:
    def make(folder: Path) -> None:
        if name == BIN:
            pickled(pairs())(folder)
        os.truncate(folder / name, (folder / name).stat().st_size - count)

    return make


def poisoned(value: float, dtype: torch.dtype = torch.float32) -> Break:
    def make(folder: Path) -> None:
        values = {name: tensor.to(dtype) for name, tensor in pairs().items()}
        values[f"{PREFIX}h.1.q.lora_B.weight"][3, 1] = value
        write_adapter(folder, values)

    return make


def compressed(folder: Path) -> None:
    pickled(pairs())(folder)
    with zipfile.ZipFile(folder / BIN) as stored:
        content = {name: stored.read(name) for name in stored.namelist()}
    with zipfile.ZipFile(folder / BIN, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def of_the_future(folder: Path) -> None:
    """A table of contents that asks for a newer kind of zip."""
    pickled(pairs())(folder)
    data = (folder / BIN).read_bytes()
    at = data.index(b"PK\x01\x02") + 6  # the version needed
    (folder / BIN).write_bytes(data[:at] + b"\xff\x00" + data[at + 2 :])


def six_bit(folder: Path) -> None:
    header, end = {}, 0
    for name, shape in ((f"{PREFIX}h.0.q.lora_A.weight", [2, 4]), (f"{PREFIX}h.0.q.lora_B.weight", [4, 2])):
        header[name] = {"dtype": "F6_E2M3", "shape": shape, "data_offsets": [end, end + 6]}
        end += 6
    weights(safetensors_bytes(header, b"\0" * end))(folder)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch pickle-was-run",)


class Rebuilt:
    """A tensor over two numbers that says it is larger."""

    def __init__(self, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.size, self.stride = size, stride

    def __reduce__(self) -> tuple[object, ...]:
        storage = torch.zeros(2)._typed_storage()
        return torch._utils._rebuild_tensor_v2, (storage, 0, self.size, self.stride, False, OrderedDict())


class Deep:
    """JSON nested deeper than the parser goes."""

    text = b"[" * 100_000


def entry(**changes: object) -> bytes:
    return safetensors_bytes({"x": {**F32, **changes}}, b"\0" * 4)


# what is bad: how it is made, the file that the line names, what it says
CASES: dict[str, tuple[Break, str, str]] = {
    "Git-LFS pointer": (weights(LFS), WEIGHTS, "is a Git-LFS pointer.*git lfs pull"),
    "Git-LFS pointer in .bin": (lambda f: ((f / WEIGHTS).unlink(), (f / BIN).write_bytes(LFS)), BIN, "Git-LFS.*pull"),
    "Git-LFS pointer for the config": (config(LFS), JSON, "Git-LFS pointer.*git lfs pull"),
    "empty weights": (weights(b""), WEIGHTS, "too short.*0 bytes.*download"),
    "web page": (weights(b"<!DOCTYPE html><html>404 not found</html>"), WEIGHTS, "no safetensors file.*download"),
    "header longer than the file": (weights(safetensors_bytes({}, length=99)), WEIGHTS, "99 bytes.*truncated"),
    "header too long": (weights(safetensors_bytes(b" " * (17 << 20))), WEIGHTS, "expected at most.*download"),
    "header of no JSON": (weights(safetensors_bytes(b"{no json")), WEIGHTS, "not valid JSON.*download"),
    "header not UTF-8": (weights(safetensors_bytes(b'{"\xff": 1}')), WEIGHTS, "not valid JSON.*download"),
    "header nested without end": (weights(safetensors_bytes(Deep.text)), WEIGHTS, "not valid JSON.*download"),
    "header a list": (weights(safetensors_bytes([])), WEIGHTS, "not a JSON object.*download"),
    "name twice": (weights(safetensors_bytes(b'{"x": {}, "x": {}}')), WEIGHTS, "twice.*download"),
    "name not Unicode": (weights(safetensors_bytes(b'{"\\ud800": %s}' % F32_JSON, b"\0" * 4)), WEIGHTS, "not Unicode"),
    "tensor without dtype": (weights(safetensors_bytes({"x": {}})), WEIGHTS, "without dtype, shape.*download"),
    "unknown dtype": (weights(entry(dtype="F31")), WEIGHTS, "unknown dtype 'F31'.*download"),
    "dtype not a name": (weights(entry(dtype=[])), WEIGHTS, "unknown dtype.*download"),
    "negative shape": (weights(entry(shape=[-1])), WEIGHTS, "impossible shape.*download"),
    "shape true": (weights(entry(shape=[True])), WEIGHTS, "impossible shape.*download"),
    "shape without end": (weights(entry(shape=[1] * 99)), WEIGHTS, "impossible shape.*download"),
    "absurd shape": (weights(entry(shape=[1 << 62] * 8)), WEIGHTS, "in 4 bytes, but F32 of shape.*download"),
    "shape and size differ": (weights(entry(shape=[2])), WEIGHTS, "in 4 bytes, but F32.*takes 8.*download"),
    "offsets reversed": (weights(entry(data_offsets=[4, 0])), WEIGHTS, "impossible data_offsets.*download"),
    "offsets three": (weights(entry(data_offsets=[0, 2, 4])), WEIGHTS, "impossible data_offsets.*download"),
    "overlap": (weights(safetensors_bytes({"x": F32, "y": F32}, b"\0" * 4)), WEIGHTS, "overlaps.*download"),
    "gap": (weights(entry(data_offsets=[4, 8])), WEIGHTS, "gap.*download"),
    "data truncated": (truncated(WEIGHTS, 4), WEIGHTS, "expected.*truncated.*download"),
    "data overlong": (weights(safetensors_bytes({"x": F32}, b"\0" * 9)), WEIGHTS, "left over.*download"),
    ".bin truncated": (truncated(BIN, 40), BIN, "not a torch.save file.*safetensors"),
    ".bin runs code": (pickled({"x": Bomb()}), BIN, "cannot be loaded safely.*safetensors"),
    ".bin of a newer zip": (of_the_future, BIN, "a zip archive that cannot be read.*25.5.*safetensors"),
    ".bin compressed": (compressed, BIN, "compressed archive.*safetensors"),
    ".bin a list": (pickled([torch.ones(2)]), BIN, "state dict, got a list.*safetensors"),
    ".bin with a number": (pickled({**pairs(), "epoch": 3}), BIN, "holds int 'epoch'.*safetensors"),
    ".bin with names of numbers": (pickled({3: torch.ones(2)}), BIN, "holds Tensor '3'.*safetensors"),
    ".bin with names not Unicode": (pickled({"\ud800": torch.ones(2)}), BIN, r"not Unicode.*safetensors"),
    ".bin sparse": (pickled({"x": torch.eye(3).to_sparse()}), BIN, "not a plain tensor.*safetensors"),
    ".bin larger than itself": (pickled({"x": torch.zeros(1).expand(1 << 40)}), BIN, "claims.*bytes.*safetensors"),
    ".bin beyond its storage": (pickled({"x": Rebuilt((1 << 40,), (1,))}), BIN, "cannot be loaded safely.*safetensors"),
    ".bin of stride 0": (pickled({"x": Rebuilt((1 << 40,), (0,))}), BIN, "claims.*bytes.*safetensors"),
    "no weights": (removed(WEIGHTS), "", "no adapter_model.safetensors or adapter_model.bin.*download"),
    "other weights": (lambda f: (f / WEIGHTS).rename(f / "Copy.safetensors"), "", "Copy.safetensors.*give the weights"),
    "weights a folder": (instead(WEIGHTS, Path.mkdir), WEIGHTS, "not a regular file.*give"),
    "weights a pipe": (instead(WEIGHTS, os.mkfifo), WEIGHTS, "not a regular file.*give"),
    "weights link away": (linked(WEIGHTS, "/etc/passwd"), WEIGHTS, "leads out of its folder.*copy"),
    "config links away": (linked(JSON, "../../secret.json"), JSON, "cannot be read|leads out of its folder"),
    "weights link to nothing": (linked(WEIGHTS, "missing"), WEIGHTS, "cannot be read.*check"),
    "weights link to itself": (linked(WEIGHTS, WEIGHTS), WEIGHTS, "cannot be read.*check"),
    "no config": (removed(JSON), WEIGHTS, "no adapter_config.json.*scale.*copy"),
    "config no JSON": (config("{"), JSON, "not valid JSON.*restore"),
    "config empty": (config(""), JSON, "not valid JSON.*restore"),
    "config binary": (config(b"\xff\xfe\0"), JSON, "not valid JSON.*restore"),
    "config nested without end": (config(Deep.text), JSON, "not valid JSON.*restore"),
    "config a list": (config("[]"), JSON, "not a JSON object, got list.*restore"),
    "config too large": (config(" " * (17 << 20)), JSON, "too large.*restore"),
    "config without r": (changed(r=...), JSON, "r is not usable, got nothing.*restore"),
    "config without alpha": (changed(lora_alpha=...), JSON, "lora_alpha is not usable, got nothing.*restore"),
    "r zero": (changed(r=0), JSON, "r is not usable, got 0, expected a positive integer.*restore"),
    "r a fraction": (changed(r=2.5), JSON, "r is not usable.*restore"),
    "alpha a word": (changed(lora_alpha="16"), JSON, "lora_alpha is not usable, got '16', expected a number.*restore"),
    "alpha infinite": (changed(lora_alpha=float("inf")), JSON, "lora_alpha is not usable, got inf.*restore"),
    "alpha true": (changed(lora_alpha=True), JSON, "lora_alpha is not usable, got True.*restore"),
    "use_rslora a word": (changed(use_rslora="no"), JSON, "use_rslora is not usable.*true or false.*restore"),
    "rank_pattern a list": (changed(rank_pattern=[2]), JSON, "rank_pattern is not usable.*an object.*restore"),
    "alpha_pattern of words": (changed(alpha_pattern={"q": "x"}), JSON, r"alpha_pattern\['q'\].*a number.*restore"),
    "target_parameters a word": (changed(target_parameters="up"), JSON, "target_parameters.*a list of names.*restore"),
    "alpha_pattern no expression": (changed(alpha_pattern={"(": 1}), JSON, "not a regular expression.*plain"),
    "prompt tuning": (changed(peft_type="PROMPT_TUNING"), JSON, "peft_type PROMPT_TUNING: .*no weight.*leave"),
    "IA3": (changed(peft_type="IA3"), JSON, "IA3 multiplies the base weight.*needs the base weights.*--base"),
    "unknown method": (changed(peft_type="MAGIC"), JSON, "method that is not known: peft_type, got 'MAGIC'.*leave"),
    "peft_type a list": (changed(peft_type=["LORA"]), JSON, "peft_type, got .'LORA'.*restore"),
    "no peft_type": (changed(peft_type=...), JSON, "peft_type, got None.*restore"),
    "QALoRA without end": (
        changed(use_qalora=True, qalora_group_size=1 << 30), WEIGHTS, "out of all proportion.*at most.*leave"
    ),
    "BD-LoRA of blocks that do not fit": (
        changed(use_bdlora={"nblocks": 5, "target_modules_bd_a": ["q"]}), WEIGHTS, "do not fit.*save"
    ),
    "DoRA": (changed(use_dora=True), WEIGHTS, "DoRA.*--dora low-rank"),
    "no LoRA tensors": (tensors({"head.weight": torch.ones(2)}), WEIGHTS, "no lora_A.*1 other tensors.*check"),
    "diffusers tensors": (tensors({"unet.q.lora.up.weight": torch.ones(2)}), WEIGHTS, "diffusers format.*convert"),
    "lora_A alone": (without("1.q.lora_B"), WEIGHTS, "1.q.lora_A.* no lora_B.*save"),
    "lora_B alone": (without("1.q.lora_A"), WEIGHTS, "1.q.lora_B.* no lora_A.*save"),
    "ranks differ": (
        tensors(pairs() | {f"{PREFIX}h.1.q.lora_B.weight": torch.ones(6, 3)}),
        WEIGHTS,
        "h.1.q.lora_A.weight 2×5 and .*h.1.q.lora_B.weight 6×3, expected.*one rank.*save",
    ),
    "rank zero": (tensors(pair("q", r=0)), WEIGHTS, "do not fit, got .*0×5.*save"),
    "vectors": (tensors({"q.lora_A.weight": torch.ones(2), "q.lora_B.weight": torch.ones(2)}), WEIGHTS, "do not fit"),
    "integers": (tensors({k: v.to(torch.int8) for k, v in pairs().items()}), WEIGHTS, "lora_A.*torch.int8.*float"),
    "8-bit floats": (tensors({k: v.to(torch.float8_e4m3fn) for k, v in pairs().items()}), WEIGHTS, "float8_e4m3.*save"),
    "6-bit floats": (six_bit, WEIGHTS, "h.0.q.lora_A.weight of a dtype that torch lacks.*save"),
    "two adapters": (
        tensors(pairs() | {k.replace("weight", "other.weight"): v.clone() for k, v in pairs().items()}),
        WEIGHTS,
        "two lora_A for one module.*file of its own",
    ),
    "NaN": (poisoned(float("nan")), WEIGHTS, "NaN or Inf in base_model.model.h.1.q.lora_B.weight.*train"),
    "Inf": (poisoned(float("-inf")), WEIGHTS, "NaN or Inf in .*h.1.q.lora_B.weight.*train"),
    "NaN in float16": (poisoned(float("nan"), torch.float16), WEIGHTS, "NaN or Inf in .*h.1.q.lora_B.weight.*train"),
    "Inf in bfloat16": (poisoned(float("inf"), torch.bfloat16), WEIGHTS, "NaN or Inf in .*h.1.q.lora_B.weight.*train"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "file", "words"), CASES.values(), ids=CASES)
def test_bad_input_is_one_line(
    make: Break,
    file: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_adapter(Path("run/adapter"))
    make(folder)
    assert main(["inspect", "run/adapter"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"taskvec: {folder / file}: ") and err.count("\n") == 1
    with pytest.raises(TaskvecError, match=words) as raised:
        load_adapter(folder)
    assert err == f"taskvec: {raised.value}\n"
    assert not Path("pickle-was-run").exists()


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_adapter(tmp_path / "adapter")

    def denied(path: object, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(TaskvecError, match=r"adapter_config.json: cannot be read \(Permission denied\); check"):
        load_adapter(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", [WEIGHTS, JSON, "."])
def test_unreadable_for_this_user(tmp_path: Path, name: str) -> None:
    folder = write_adapter(tmp_path / "adapter")
    (folder / name).chmod(0)
    with pytest.raises(TaskvecError, match="cannot be read"):
        load_adapter(folder)


@pytest.mark.parametrize("text", ["nowhere", "a\nb\x1b[31m"])
def test_missing_path_is_named_without_control_characters(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", text]) == 2
    line = capfd.readouterr().err
    assert line.count("\n") == 1 and "\x1b" not in line and "no such file or directory; check the path" in line


def test_tensor_names_are_escaped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = "h.\x1b]0;title\x07[red]q"
    write_adapter(tmp_path, pair(name))
    assert main(["inspect", str(tmp_path)]) == 0
    out = capfd.readouterr().out
    assert "\x1b" not in out and "\x07" not in out and "\\x1b]0;title\\x07[red]q" in out


ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "F4", "X"]) | st.integers(),
        "shape": st.lists(st.integers(-1, 1 << 70), max_size=4) | st.none(),
        "data_offsets": st.lists(st.integers(-1, 1 << 70), max_size=3) | st.none(),
    }
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(header=st.binary(max_size=200), size=st.integers(0, 1 << 40))
def test_header_of_any_bytes(header: bytes, size: int) -> None:
    _parses_or_refuses(header, size)


@pytest.mark.slow
@given(document=st.dictionaries(st.text(), ENTRY | JSON_VALUES, max_size=4) | JSON_VALUES, size=st.integers(0, 64))
def test_header_of_any_json(document: object, size: int) -> None:
    _parses_or_refuses(json.dumps(document).encode(), size)


def _parses_or_refuses(header: bytes, size: int) -> None:
    try:
        entries = parse_header(header, size, Path("x")).entries
    except TaskvecError as error:
        assert "\n" not in str(error)
    else:
        assert sum(entry.end - entry.begin for entry in entries.values()) == size


@given(
    sizes=st.lists(st.integers(0, 4), max_size=5),
    change=st.tuples(st.integers(0, 400), st.integers(1, 255)) | st.none(),
)
def test_a_changed_byte_is_refused_or_harmless(sizes: list[int], change: tuple[int, int] | None) -> None:
    header, end = {}, 0
    for i, size in enumerate(sizes):
        header[f"t{i}"] = {"dtype": "F32", "shape": [size], "data_offsets": [end, end + 4 * size]}
        end += 4 * size
    text = bytearray(json.dumps(header).encode())
    if change is None:
        assert {name: entry.shape for name, entry in parse_header(bytes(text), end, Path("x")).entries.items()} == {
            f"t{i}": (size,) for i, size in enumerate(sizes)
        }
        return
    text[change[0] % len(text)] ^= change[1]
    _parses_or_refuses(bytes(text), end)


def test_header_length_is_read_as_little_endian(tmp_path: Path) -> None:
    text = json.dumps({"x": F32}).encode()
    (tmp_path / WEIGHTS).write_bytes(struct.pack(">Q", len(text)) + text + b"\0" * 4)
    write_config(tmp_path, **CONFIG)
    with pytest.raises(TaskvecError, match="truncated"):
        load_adapter(tmp_path)
