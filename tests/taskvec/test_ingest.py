"""``taskvec ingest`` again and again: new, changed, gone, broken; killed, refused, out of room."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import torch
from safetensors.torch import save_file

import taskvec.ingestion
from make_adapters import pairs, write_adapter
from taskvec.cli import main
from taskvec.errors import TaskvecError
from taskvec.ingestion import Ingested, ingest
from taskvec.ledger.lease import Lease
from taskvec.storage import Folder
from taskvec.store.factor_store import FactorStore
from taskvec.store.verification import verify_store
from taskvec.zoo import load_zoo

NAMES = ["a", "b", "c", "d", "e"]
ONE_BATCH_EACH = 1  # bytes of memory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        write_adapter(tmp_path / "zoo" / name, pairs(seed=seed))
    return tmp_path / "zoo"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "zoo.zarr"


def names(done: Ingested) -> list[str]:
    return [entry.name for entry in done.store.entries]


def same(one: FactorStore, other: FactorStore) -> bool:
    """Whether two stores hold the same adapters with the same factors, bit for bit."""
    places = {entry.name: i for i, entry in enumerate(other.entries)}
    assert places.keys() == {entry.name for entry in one.entries}
    for i, entry in enumerate(one.entries):
        j = places[entry.name]
        assert entry.identity == other.entries[j].identity
        for path, module in entry.modules.items():
            here, there = (store.read((path,), (k,), module.rank).svd for store, k in ((one, i), (other, j)))
            if not all(torch.equal(x, y) for x, y in zip(here, there, strict=True)):
                return False
    return True


def test_only_what_is_new_or_changed_is_factorised(folder, out, monkeypatch) -> None:
    factorised = []
    make = taskvec.ingestion.factor
    monkeypatch.setattr(
        taskvec.ingestion, "factor", lambda a, *rest: (factorised.extend(x.name for x in a), make(a, *rest))[1]
    )
    first = ingest(folder, out)
    assert (names(first), first.added, first.unchanged, factorised) == (NAMES, tuple(NAMES), 0, NAMES)
    factorised.clear()
    again = ingest(folder, out)
    assert (again.added, again.replaced, again.unchanged, factorised) == ((), (), 5, [])
    write_adapter(folder / "f", pairs(seed=9))
    write_adapter(folder / "b", pairs(seed=8))
    shutil.rmtree(folder / "d")
    third = ingest(folder, out)
    assert (third.added, third.replaced, third.unchanged, factorised) == (("f",), ("b",), 3, ["b", "f"])
    assert (third.gone, third.removed, names(third)) == (("d",), (), ["a", "c", "d", "e", "b", "f"])
    assert ingest(folder, out).gone == ("d",)
    assert ingest(folder / "a", out).gone == ()  # only what is below the paths given is looked for
    pruned = ingest(folder, out, prune=True)
    assert pruned.removed == ("d",) and "d" not in names(pruned)
    assert same(pruned.store, ingest(folder, out.with_name("fresh.zarr")).store)
    assert not verify_store(out).damaged


def test_reading_options_are_part_of_what_is_known(out, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for name in ("base", "tuned"):
        (tmp_path / name).mkdir()
        weight = torch.randn(6, 5, generator=generator)
        save_file({"model.layers.0.q_proj.weight": weight}, tmp_path / name / "model.safetensors")
    pair = f"{tmp_path}/base..{tmp_path}/tuned"
    assert ingest(pair, out, rank=2).added == (pair,)
    assert ingest(pair, out, rank=2).unchanged == 1
    other = ingest(pair, out, rank=3)
    assert other.replaced == (pair,) and other.store.entries[0].modules["model.layers.0.q_proj"].rank == 3


def test_names_of_other_folders(folder, out, tmp_path: Path) -> None:
    """The same files under another name are known; other files of one name are refused while both are there."""
    ingest(folder, out)
    deeper = ingest(tmp_path / "zoo" / "a", out)
    assert deeper.unchanged == 1 and names(deeper) == NAMES
    above = ingest([folder.parent], out)
    assert above.unchanged == 5 and names(above) == NAMES
    write_adapter(tmp_path / "other" / "a", pairs(seed=77))
    with pytest.raises(TaskvecError, match=r"two adapters have the name 'a' in the store.*zoo/a and .*other/a; rename"):
        ingest(tmp_path / "other", out)
    shutil.rmtree(folder)
    assert ingest(tmp_path / "other", out).replaced == ("a",)


def test_pruned_batches_are_deleted(folder, out) -> None:
    ingest(folder, out, memory=ONE_BATCH_EACH)
    assert len(FactorStore.open(out).seen) == 5
    shutil.rmtree(folder / "c")
    done = ingest(folder, out, prune=True)
    assert done.removed == ("c",) and done.store.seen == ("000000", "000001", "000003", "000004", "000005")
    assert not (out / "batches/000002").exists() and not verify_store(out).damaged
    assert ingest(folder, out).unchanged == 4


def test_any_memory_gives_the_same_factors(folder, out) -> None:
    """Batches have their arrays in the same memory: zeros are where a later one has no module, or fewer directions."""
    write_adapter(folder / "d", pairs("h.0.q", r=3), r=3)
    write_adapter(folder / "e", {**pairs("h.0.q", r=4), **pairs("h.1.q", r=3)}, r=4)
    assert same(ingest(folder, out, memory=ONE_BATCH_EACH).store, ingest(folder, out.with_name("whole.zarr")).store)


def test_the_spelling_of_the_first_stays(folder, out) -> None:
    """Another spelling of the same modules, in a later batch, is stored under the paths that the store has."""
    first = ingest(folder, out)
    renamed = {name.replace("base_model.model.", "base_model.model.model."): t for name, t in pairs(seed=40).items()}
    write_adapter(folder / "x", renamed)
    later = ingest(folder, out)
    assert later.store.entries[-1].modules.keys() == first.store.entries[0].modules.keys()
    assert any("matched under other names" in warning for warning in later.warnings)
    assert ingest(folder, out).unchanged == 6


def test_broken_adapters_are_named(folder, out, capsys) -> None:
    (folder / "b" / "adapter_model.safetensors").write_bytes(b"broken")
    assert main(["ingest", str(folder), "-o", str(out)]) == 2
    assert str(folder / "b") in capsys.readouterr().err
    assert main(["ingest", str(folder), "-o", str(out), "--skip-bad", "--json"]) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    jsonschema.validate(document, json.loads((Path(__file__).parents[1] / "schemas/ingest.json").read_text()))
    assert document["added"] == ["a", "c", "d", "e"] and len(document["skipped"]) == 1 and "zoo/b" in shown.err
    assert [path for path, _ in FactorStore.open(out).skipped] == [str(folder / "b")]
    assert len(FactorStore.open(out).skipped) == 1
    write_adapter(folder / "b", pairs(seed=1))
    done = ingest(folder, out)
    assert done.added == ("b",) and done.store.skipped == ()


def test_files_that_change_meanwhile(folder, out, monkeypatch) -> None:
    """One that is written to between the check and the factorisation is refused, or skipped; the rest is done."""
    make = taskvec.ingestion.factor

    def disturbed(adapters, *rest):
        write_adapter(folder / "c", pairs(seed=50, r=3))
        return make(adapters, *rest)

    monkeypatch.setattr(taskvec.ingestion, "factor", disturbed)
    with pytest.raises(TaskvecError, match=r"c/adapter_model.safetensors: has changed since it was loaded"):
        ingest(folder, out)
    done = ingest(folder, out, skip_bad=True)
    assert names(done) == ["a", "b", "d", "e"] == list(done.added) and [x.path.name for x in done.skipped] == ["c"]
    monkeypatch.undo()
    assert ingest(folder, out).added == ("c",)


def test_small_files_are_read_once(folder, out, monkeypatch) -> None:
    """What was checked and hashed is what is factorised; a zoo in memory keeps no file."""

    def again(*place):
        raise AssertionError(place)

    monkeypatch.setattr("taskvec.formats.reading.tensors.read_piece", again)
    done = ingest(folder, out)
    zoo = load_zoo(folder)
    with pytest.raises(AssertionError, match=r"adapter_model\.safetensors"):
        zoo[0].modules["h.0.q"].update()
    monkeypatch.undo()
    assert same(done.store, ingest(zoo, out.with_name("of-zoo.zarr")).store)


def test_a_full_disk_keeps_what_is_whole(folder, out, monkeypatch) -> None:
    write = Folder.write
    done = []

    def full(self, name, data):
        done.append(name)
        if len(done) == 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, name, data)

    monkeypatch.setattr(Folder, "write", full)
    with pytest.raises(TaskvecError, match=r"zoo.zarr: the disk is full; free some space and run the same command"):
        ingest(folder, out, memory=ONE_BATCH_EACH)
    monkeypatch.undo()
    kept = FactorStore.open(out)
    assert 0 < len(kept.entries) < 5
    after = ingest(folder, out)
    assert after.unchanged == len(kept.entries) and same(after.store, ingest(folder, out.with_name("fresh.zarr")).store)


def test_two_writers_and_places_that_are_taken(folder, out, tmp_path: Path) -> None:
    ingest(folder, out)
    with Lease(Folder(out), "ingested into"), pytest.raises(TaskvecError, match="is being ingested into by process"):
        ingest(folder, out)
    assert ingest(folder, out).unchanged == 5
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TaskvecError, match="cannot be written to"):
        ingest(folder, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
    for option, said in (({"dtype": "float16"}, "has another dtype"), ({"sketch": 7}, "has another sketch")):
        with pytest.raises(TaskvecError, match=said):
            ingest(folder, out, **option)


KILLED = """
import os, signal, sys
from taskvec.storage import Folder
write, left = Folder.write, [int(sys.argv[3])]
def dies(self, name, data):
    left[0] -= 1
    if left[0] == 0:
        os.makedirs((self.root / name).parent, exist_ok=True)
        whole = data if isinstance(data, bytes) else b"".join(data)
        (self.root / f"{name}.partial").write_bytes(whole[: len(whole) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, name, data)
Folder.write = dies
from taskvec.ingestion import ingest
ingest(sys.argv[1], sys.argv[2], memory=1)
"""


@pytest.mark.parametrize("at", [2, 23, 30])  # 14 files a batch, its description the last
def test_killed_at_any_moment(folder, out, at: int) -> None:
    """The store can be read, the same command goes on, and the factors are those of an undisturbed one."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(out), str(at)], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    before = len(FactorStore.open(out).entries) if at > 2 else 0
    assert before == {2: 0, 23: 1, 30: 1}[at]
    after = ingest(folder, out)
    assert after.unchanged == before and same(after.store, ingest(folder, out.with_name("fresh.zarr")).store)
    assert not verify_store(out).damaged and not list((out / "batches").rglob("*.partial"))


def test_the_command(folder, out, capsys) -> None:
    assert main(["ingest", str(folder), "-o", str(out), "--memory", "64MiB", "--progress", "json"]) == 0
    shown = capsys.readouterr()
    assert "5 adapters (5 added)" in shown.out and '"progress": "ingesting"' in shown.err
    shutil.rmtree(folder / "d")
    assert main(["ingest", str(folder), "-o", str(out)]) == 0
    shown = capsys.readouterr()
    assert "5 adapters (4 unchanged)" in shown.out and "still in the store: d; --prune removes them" in shown.err
    for wrong in ("lots", "0", "-1GiB"):
        assert main(["ingest", str(folder), "-o", str(out), "--memory", wrong]) == 2
        assert "is no amount of memory" in capsys.readouterr().err
    assert main(["inspect", f"{out}::a", "--json"]) == 0
    (inspected,) = json.loads(capsys.readouterr().out)["adapters"]
    (adapter,) = load_zoo(folder / "a").adapters
    assert [module["module"] for module in inspected["modules"]] == [*adapter.modules]
    assert main(["project", f"{out}::a", f"{out}::b"]) == 0
    assert os.path.isdir(out)


def test_damaged_adapters_are_ingested_again(folder, out, capsys) -> None:
    """``verify --repair`` forgets them, and writes metadata that it knows; a batch that nobody can read goes."""
    fresh = ingest(folder, out.with_name("fresh.zarr")).store
    ingest(folder, out, memory=ONE_BATCH_EACH)
    spoilt = {"000001": "6x5-k2/U/c/0/0/0/0", "000002": "zarr.json", "000003": "6x5-k2/V/zarr.json"}
    for batch, name in spoilt.items():
        path = out / "batches" / batch / name
        data = bytearray(path.read_bytes())
        data[-10 if name.endswith("json") else 9] ^= 4
        path.write_bytes(data)
    assert main(["verify", str(out), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert main(["verify", str(out), "--repair", "--json"]) == 0
    repaired = json.loads(capsys.readouterr().out)
    schema = json.loads((Path(__file__).parents[1] / "schemas/verify.json").read_text())
    jsonschema.validate(found, schema)
    jsonschema.validate(repaired, schema)
    assert len(found["damaged"]) == 3 and repaired["forgotten"] == ["b"]
    done = ingest(folder, out)
    assert (done.added, done.unchanged) == (("b", "c"), 3) and same(done.store, fresh)
    assert main(["verify", str(out)]) == 0
