"""Which adapters a path means, and what they are called."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from make_adapters import safetensors_bytes, write_all
from taskvec import TaskvecError, load_adapter, load_zoo

pytestmark = pytest.mark.usefixtures("here")


def names(*paths: str, recursive: bool = False) -> list[str]:
    return [adapter.name for adapter in load_zoo(paths, recursive=recursive).adapters]


def test_names_are_relative_to_the_folder_given() -> None:
    write_all("zoo/b", "zoo/a", "zoo/deep/er/c")
    assert names("zoo") == ["a", "b", "deep/er/c"]


def test_names_of_adapters_given_directly_are_their_paths() -> None:
    write_all("zoo/a", "zoo/b")
    assert names("zoo/b", "zoo/a/adapter_model.safetensors") == ["zoo/b", "zoo/a/adapter_model.safetensors"]


def test_one_path_needs_no_list() -> None:
    write_all("zoo/a")
    assert [adapter.name for adapter in load_zoo("zoo").adapters] == ["a"]


def test_a_folder_that_is_an_adapter_is_that_adapter_alone_unless_recursive() -> None:
    write_all("run", "run/checkpoint-1", "run/checkpoint-2")
    assert names("run") == ["run"]
    assert names("run", recursive=True) == ["run", "checkpoint-1", "checkpoint-2"]


def test_an_adapter_within_a_folder_is_alone_too() -> None:
    write_all("zoo/run", "zoo/run/checkpoint-1")
    assert names("zoo") == ["run"]
    assert names("zoo", recursive=True) == ["run", "run/checkpoint-1"]


def test_names_that_collide_become_the_shortest_distinct_ends() -> None:
    write_all("one/zoo/a", "two/zoo/a", "two/zoo/b", "three/den/a")
    assert names("one/zoo", "two/zoo", "three/den") == ["one/zoo/a", "two/zoo/a", "b", "den/a"]


def test_a_shortened_name_does_not_collide_with_another() -> None:
    write_all("one/a", "two/a", "big/one/a")
    found = names("one", "two", "big")
    assert len(set(found)) == 3 and found[1] == "two/a"


@pytest.mark.parametrize("again", ["zoo/a", "zoo/./a", "zoo/a/adapter_model.safetensors", "zoo", "link"])
def test_the_same_adapter_twice(again: str) -> None:
    write_all("zoo/a")
    Path("link").symlink_to("zoo/a")
    with pytest.raises(TaskvecError, match=r"same adapter is given twice, got zoo/a and .*; give it once"):
        load_zoo(["zoo/a", again])


def test_empty_folder() -> None:
    Path("zoo/inner").mkdir(parents=True)
    with pytest.raises(TaskvecError, match=r"zoo: holds no adapter; give a folder with adapter_config.json"):
        load_zoo("zoo")


def test_no_paths() -> None:
    with pytest.raises(TaskvecError, match="no path given"):
        load_zoo([])


def test_missing_folder() -> None:
    with pytest.raises(TaskvecError, match="nowhere: no such file or directory"):
        load_zoo("nowhere")


def test_hidden_folders_are_not_searched() -> None:
    write_all("zoo/a", "zoo/.cache/b")
    assert names("zoo") == ["a"]


def test_links_are_not_followed_and_named() -> None:
    write_all("zoo/a", "elsewhere/b")
    Path("zoo/loop").symlink_to("..")
    Path("zoo/out").symlink_to(Path("elsewhere").absolute())
    Path("zoo/itself").symlink_to("itself")
    zoo = load_zoo("zoo")
    assert [adapter.name for adapter in zoo.adapters] == ["a"]
    assert zoo.warnings[0].startswith("zoo/loop and 1 more passed over: symbolic links to folders are not followed")


def test_a_folder_of_links_says_why_it_is_empty() -> None:
    write_all("elsewhere/b")
    Path("zoo").mkdir()
    Path("zoo/b").symlink_to(Path("elsewhere/b").absolute())
    with pytest.raises(TaskvecError, match=r"zoo: holds no adapter; zoo/b passed over: symbolic links to"):
        load_zoo("zoo")


def test_adapters_inside_an_adapter_are_found_and_its_checkpoints_are_named() -> None:
    write_all("run", "run/second", "run/second/third", "run/checkpoint-7", "run/checkpoint-8")
    assert names("run") == ["run", "second", "second/third"]
    assert load_zoo("run").warnings == (
        "run/checkpoint-7 and 1 more passed over: a state of the training of the adapter above it; --recursive reads "
        "it too",
    )


def test_a_folder_that_may_not_be_entered_is_an_error_and_the_search_goes_on(nobody: None) -> None:
    write_all("zoo/a", "zoo/closed", "zoo/c")
    for mode in (0o000, 0o444):
        Path("zoo/closed").chmod(mode)
        with pytest.raises(TaskvecError, match=r"zoo/closed: is a folder that cannot be read .Permission denied"):
            load_zoo("zoo")
        assert [adapter.name for adapter in load_zoo("zoo", skip_bad=True).adapters] == ["a", "c"]
        with pytest.raises(TaskvecError, match=r"zoo/closed/.*: cannot be read .Permission denied"):
            load_zoo("zoo/closed/adapter_model.safetensors")
        with pytest.raises(TaskvecError, match=r"zoo/closed: is a folder that cannot be read"):
            load_adapter("zoo/closed")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user who is not above permissions, in a folder of his own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        monkeypatch.chdir(folder)
        user = os.geteuid()
        if user == 0:
            os.chmod(folder, 0o777)
            os.seteuid(65534)
        yield
        os.seteuid(user)
        Path("zoo/closed").chmod(0o700)


@pytest.mark.parametrize(
    ("file", "names", "words"),
    [
        ("0000100_adapters.safetensors", ["model.layers.0.q_proj.lora_a"], "MLX format: its scale is in no file"),
        (
            "lora_rank2.safetensors",
            ["w_a_000", "w_b_000", "w_a_001", "w_b_001"],
            "SAM/ViT .w_a, w_b. format: its alpha, and so its scale, is in no file",
        ),
        ("a.safetensors", ["base_model.model.q.lora_A.weight"], "PEFT format without the adapter_config.json"),
        ("a.safetensors", [f"h.adapter.linear_{way}.weight" for way in ("in", "out")], "NeMo format: its alpha"),
    ],
)
def test_other_formats_are_named(file: str, names: list[str], words: str) -> None:
    write_named(Path("zoo", file), names)
    with pytest.raises(TaskvecError, match=f"zoo/{file}: is an adapter in .*{words}.*; "):
        load_zoo("zoo")


def test_files_that_are_no_adapter_are_passed_over_and_named() -> None:
    write_all("zoo/a")
    write_named(Path("zoo/exploration.safetensors"), ["model.weight"])
    Path("zoo/lora_weight.pt").write_bytes(b"this")
    zoo = load_zoo("zoo")
    assert [adapter.name for adapter in zoo.adapters] == ["a"]
    assert zoo.warnings == (
        "zoo/exploration.safetensors passed over: no adapter that can be told from its tensors' names",
        "zoo/lora_weight.pt passed over: is too short for a safetensors file: 4 bytes, expected at least 8",
    )


def test_a_folder_of_nothing_else_says_what_was_passed_over() -> None:
    write_named(Path("zoo/model.safetensors"), ["model.weight"])
    for load in (load_zoo, load_adapter):
        with pytest.raises(
            TaskvecError, match=r"zoo: holds no adapter; zoo/model.safetensors passed over: no adapter.*; give"
        ):
            load("zoo")


def write_named(file: Path, names: list[str]) -> None:
    """A safetensors file of empty tensors."""
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(safetensors_bytes(dict.fromkeys(names, entry)))
