"""Ids of the Hugging Face Hub: a client that is not the network, and a cache as huggingface_hub lays it out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from make_adapters import write_adapter
from taskvec import TaskvecError, load_adapter, load_zoo
from taskvec.hub import HubId, hub_id, local, needed_files

hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (the extra hub)")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("org/name", HubId("org/name", None, "")),
        ("org/name@v1.0", HubId("org/name", "v1.0", "")),
        ("org/name@refs/pr/3", HubId("org/name", "refs/pr/3", "")),
        ("hf://org/name", HubId("org/name", None, "")),
        ("hf:/org/name@abc/second/one", HubId("org/name", "abc", "/second/one")),  # as a Path has it
        ("org/name/below", None),
        ("name", None),
        ("../name", None),
        ("/org/name", None),
        ("here/name", None),
    ],
)
def test_what_is_an_id(here: Path, text: str, found: HubId | None) -> None:
    Path("here").mkdir()
    assert hub_id(text) == found == hub_id(Path(text))


def test_a_path_that_exists_is_a_path(here: Path) -> None:
    Path("org/name").mkdir(parents=True)
    assert local("org/name") == Path("org/name")


def test_only_the_files_that_are_needed() -> None:
    peft = ["README.md", "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "optimizer.pt"]
    peft += ["training_args.bin", "checkpoint-5/adapter_model.safetensors", "b/adapter_model.bin"]
    assert needed_files(peft, one=True) == ["adapter_model.safetensors", "adapter_config.json"]
    assert needed_files(peft) == ["adapter_model.safetensors", "adapter_config.json", "b/adapter_model.bin"]
    assert needed_files(peft, "checkpoint-5") == ["checkpoint-5/adapter_model.safetensors"]
    assert needed_files(["a/adapter_model.bin", "a/adapter_config.json", "b/x.txt"]) == [
        "a/adapter_model.bin",
        "a/adapter_config.json",
    ]
    shards = ["model-1-of-2.safetensors", "model-2-of-2.safetensors", "model.safetensors.index.json", "config.json"]
    assert sorted(needed_files([*shards, "pytorch_model.bin", "flax_model.msgpack"])) == sorted(shards)
    assert needed_files(["README.md"]) == []


class Client:
    """What this package asks of the Hub, answered from a folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, cache: Path) -> None:
        self.root, self.cache, self.fetched = root, cache, []
        monkeypatch.setattr(hub, "HfApi", lambda: self)
        monkeypatch.setattr(hub, "snapshot_download", self.snapshot_download)

    def list_repo_files(self, repo: str, revision: str | None = None) -> list[str]:
        folder = self.root / repo
        return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())

    def snapshot_download(self, repo: str, *, revision: str | None = None, allow_patterns: list[str]) -> str:
        self.fetched += [(repo, revision, name) for name in allow_patterns]
        for name in allow_patterns:
            (self.cache / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.root / repo / name, self.cache / name)
        return str(self.cache)


def test_an_adapter_is_fetched_and_named_by_its_id(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_adapter(Path("hub/org/name"))
    write_adapter(Path("hub/org/name/second"))
    Path("hub/org/name/optimizer.pt").write_bytes(b"1")
    client = Client(monkeypatch, Path("hub"), Path("cache"))
    assert load_adapter("org/name@v1").name == "org/name@v1"
    assert client.fetched == [("org/name", "v1", name) for name in ("adapter_model.safetensors", "adapter_config.json")]
    assert len(load_adapter("hf://org/name/second").modules) == 2
    write_adapter(Path("mine"))
    assert [one.name for one in load_zoo(["org/name", "mine"]).adapters] == ["org/name", "second", "mine"]
    with pytest.raises(TaskvecError, match="org/name/third: the repository has no such folder"):
        load_adapter("hf://org/name/third")


def cached(root: Path) -> None:
    """A repository org/name in a cache, as huggingface_hub lays it out: names link to contents."""
    folder = root / "models--org--name"
    write_adapter(folder / "snapshots" / COMMIT)
    (folder / "blobs").mkdir()
    for i, file in enumerate(sorted((folder / "snapshots" / COMMIT).iterdir())):
        file.rename(folder / "blobs" / str(i))
        file.symlink_to(Path("../../blobs") / str(i))
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(COMMIT)


def test_the_cache_is_read_without_a_network(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(here / "cache")
    real = hub.snapshot_download
    monkeypatch.setattr(hub, "snapshot_download", lambda *a, **k: real(*a, **k, cache_dir=here / "cache"))
    assert len(load_adapter("org/name").modules) == 2
    assert len(load_adapter(f"org/name@{COMMIT}").modules) == 2
    with pytest.raises(TaskvecError, match=r"org/other: no such file or directory, nor in the Hugging Face cache"):
        load_adapter("org/other")


def test_without_the_client_the_fix_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(TaskvecError, match=r"org/name: no such file or directory; .*pip install 'taskvec\[hub\]'"):
        load_adapter("org/name")


def test_a_base_that_is_not_in_the_cache_costs_no_client(tmp_path: Path) -> None:
    code = (
        "import sys; from taskvec.hub import cached; print(cached('org/name', 'config.json'), 'httpx' in sys.modules, "
        "'huggingface_hub.file_download' in sys.modules)"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False", "False"]
    cached(tmp_path)
    config = tmp_path / "models--org--name" / "snapshots" / COMMIT / "adapter_config.json"
    code = "from taskvec.hub import cached; print(cached('org/name', 'adapter_config.json'))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(config)
