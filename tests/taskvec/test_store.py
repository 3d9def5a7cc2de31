"""A store of factors: zarr reads what is written, every damage is found, and other places are refused."""

from __future__ import annotations

import json
import pickle
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

import taskvec.ingestion
from taskvec import add_baseline, load_adapter, load_zoo, sweep
from taskvec.adapters import Adapter, Dense
from taskvec.cli import main
from taskvec.errors import TaskvecError
from taskvec.ingestion import ingest
from taskvec.storage import Folder
from taskvec.store.entry import entry_of
from taskvec.store.factor_store import FactorStore
from taskvec.store.kept import Kept
from taskvec.store.memory import AdapterFactors
from taskvec.store.opening import Root, is_store, open_root
from taskvec.store.shards import Shard
from taskvec.store.verification import verify_store
from taskvec.sweeps.compute import compute
from taskvec.sweeps.inputs import as_factors
from taskvec.sweeps.job import Job
from taskvec.sweeps.options import Options
from taskvec.sweeps.plan import Block, Bucket
from taskvec.zoo import Zoo

SPEC = {f"h.{layer}.q": (24, 16, 4) for layer in range(3)} | {"h.0.v": (8, 16, 2)}


@pytest.fixture
def zoo(adapter) -> Zoo:
    """Ranks of several buckets, modules that some lack, one of another shape, a zero update."""
    others = {"h.0.q": (24, 16, 3), "h.1.q": (24, 16, 9), "h.2.q": (16, 24, 2)}
    adapters = [adapter(f"a{i}", SPEC, seed=i) for i in range(5)] + [adapter("b", others, seed=9)]
    zero = {path: (torch.zeros(m, r), torch.ones(r, n)) for path, (m, n, r) in SPEC.items()}
    return Zoo((*adapters, adapter("zero", zero), adapter("one", {"h.1.q": (24, 16, 4)}, seed=7)))


@pytest.fixture
def store(zoo, tmp_path: Path) -> FactorStore:
    return ingest(zoo, tmp_path / "zoo.zarr").store


def same_forms(one, other, entries) -> None:
    """Every module of every adapter, one by one and in parts, bit for bit."""
    for i, entry in enumerate(entries):
        for path, module in entry.modules.items():
            for rank in (module.rank, module.rank + 3):
                for x, y in zip(one.read((path,), (i,), rank).svd, other.read((path,), (i,), rank).svd, strict=True):
                    assert x.shape == y.shape and x.dtype == y.dtype and torch.equal(x, y)


def test_factors_are_those_of_the_adapters(zoo, store) -> None:
    at_hand = AdapterFactors(zoo.adapters)
    assert store.entries == tuple(replace(e, source=str(Path(e.source).absolute())) for e in at_hand.entries)
    same_forms(at_hand, store, store.entries)
    asked = (("h.2.q", "h.0.q"), (4, 0, 2, 1), 6)
    for x, y in zip(at_hand.read(*asked).svd, store.read(*asked).svd, strict=True):
        assert torch.equal(x, y)
    assert store.read(*asked).svd.U.mT.is_contiguous() and store.read(*asked).norms.isnan().all()


def test_small_chunks_and_another_process_read_the_same(zoo, store, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(taskvec.ingestion, "Root", partial(Root, chunk_bytes=700))
    small = ingest(zoo, tmp_path / "small.zarr").store
    same_forms(store, pickle.loads(pickle.dumps(small)), store.entries)
    assert len(pickle.dumps(small)) < 1000


def test_zarr_reads_the_same_bytes(zoo, store) -> None:
    group = zarr.open_group(store.storage.url, mode="r")
    assert group.attrs["taskvec"] == "store" and [*group["batches"]] == ["000000"]
    (batch,) = store.batches.values()
    entries = store.entries
    seen = 0
    for found in batch.classes:
        U, V, S, norm = (group[f"batches/000000/{found.name}/{name}"] for name in ("U", "V", "S", "norm"))
        assert U.metadata.dimension_names == ("module", "adapter", "component", "row") and S.dtype == "float64"
        assert U.shape == (len(found.modules), len(found.adapters), found.rank, found.shape[0])
        for row, path in enumerate(found.modules):
            for slot, i in enumerate(found.adapters):
                module = entries[i].modules.get(path)
                if module is None or module.shape != found.shape:
                    continue
                svd, _ = store.read((path,), (i,), found.rank)
                if (svd.S[0, 0] == 0).all() or svd.S.count_nonzero() <= found.rank:
                    seen += 1
                    here = U[row, slot], V[row, slot], S[row, slot].astype(np.float32)
                    there = svd.U[0, 0].mT, svd.Vh[0, 0], svd.S[0, 0]
                    if here[0].any() or not svd.U.any():  # of a module that this class holds
                        assert all(np.array_equal(x, y.numpy()) for x, y in zip(here, there, strict=True))
                        assert norm[row, slot] == pytest.approx(float(svd.S.double().norm()), rel=1e-7)
    assert seen > 20


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("shape", [(2, 5, 3, 7), (1, 1, 1, 1), (3, 4)])
def test_a_shard_is_what_zarr_would_write(tmp_path: Path, shape, dtype) -> None:
    """Any dtype and shape, also of chunks that are absent; what zarr writes is read by us."""
    values = np.random.default_rng(0).normal(size=shape).astype(dtype)
    present = np.ones(shape[:2], bool)
    present[0, :2] = False
    values[0, :2] = 0
    shard = Shard("x", shape, np.dtype(dtype), ("a", "b", "c", "d")[: len(shape)], 100)
    folder = Folder(tmp_path)
    shard.write(folder, values, present)
    array = zarr.open_array(tmp_path / "x", mode="r+")
    assert np.array_equal(array[:], values)
    array[:] = values + 1
    index = shard.read_index(folder)
    for row in range(shape[0]):
        for chunk, read in shard.read(folder, index, row, range(shard.chunks)):
            some = values[row, chunk * shard.slots : (chunk + 1) * shard.slots] + 1
            assert np.array_equal(read[: len(some)], some)


def test_half_precision_says_its_error(zoo, tmp_path: Path) -> None:
    store = ingest(zoo, tmp_path / "half.zarr", dtype="float16").store
    whole = AdapterFactors(zoo.adapters)
    assert {entry.identity for entry in store.entries}.isdisjoint(entry.identity for entry in whole.entries)
    for i, entry in enumerate(store.entries):
        worst = 0.0
        for path, module in entry.modules.items():
            tau, rounded = (
                (svd.U.double() * svd.S.double()[..., None, :]) @ svd.Vh.double()
                for svd, _ in (factors.read((path,), (i,), module.rank) for factors in (whole, store))
            )
            if tau.any():
                worst = max(worst, float((rounded - tau).norm() / tau.norm()))
        assert store.errors[entry.name] == pytest.approx(worst, rel=0.02, abs=1e-7)
        assert 1e-5 < worst < 1e-3 or entry.name == "zero"


def test_a_cut_update_keeps_its_norm(adapter, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tau = torch.randn(20, 12, generator=generator)
    low = adapter("low", {"h.0.q": (20, 12, 3), "h.1.q": (20, 12, 3)})
    module = replace(low.modules["h.1.q"], rank=4, update=lambda: Dense(None, tau))
    dense = replace(low, name="dense", digest="0", modules=low.modules | {"h.1.q": module})
    store = ingest(Zoo((low, dense)), tmp_path / "zoo.zarr").store
    form = store.read(("h.0.q", "h.1.q"), (0, 1), 4)
    assert form.norms.isnan().tolist() == [[True, True], [True, False]]
    assert float(form.norms[1, 1]) == pytest.approx(float(tau.double().norm()), rel=1e-6)
    assert store.whole("h.1.q", 1) is None
    again = load_adapter(f"{tmp_path / 'zoo.zarr'}::dense").modules["h.1.q"]
    assert again.update().norm == pytest.approx(float(tau.double().norm()), rel=1e-6)


def test_forms_go_to_the_device_of_the_sweep(zoo_folder, tmp_path: Path) -> None:
    """A device without memory stands for a GPU, as far as that goes; tests/gpu has the rest."""
    store = ingest(zoo_folder, tmp_path / "zoo.zarr").store
    path, module = next(iter(store.entries[0].modules.items()))
    form = Kept(store, device="meta").read((path,), (0, 1), module.rank)
    assert {part.device.type for part in (*form.svd, form.norms)} == {"meta"}
    assert form.svd.U.shape == (1, 2, module.shape[0], module.rank) and form.svd.U.mT.is_contiguous()

    seen: list[Job] = []

    class Elsewhere:
        """Machines with GPUs, to which a client without one sends units."""

        scheduler = "tcp://127.0.0.1:1"

        def __call__(self, job: Job, units, advance) -> None:
            seen.append(job)
            raise TaskvecError("enough")

    for given in (zoo_folder, tmp_path / "zoo.zarr"):
        with pytest.raises(TaskvecError, match="enough"):
            sweep(given, tmp_path / "out.zarr", device="cuda", engine=Elsewhere(), progress="json")
    assert [job.factors.device for job in seen] == ["cuda", "cuda"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_result_of_a_gpu_is_gone_on_with_where_there_is_none(zoo_folder, tmp_path: Path) -> None:
    """Its layer baseline is computed on the CPU; to sweep on what is not there is refused."""
    result = sweep(zoo_folder)
    pair = tuple(result["source"].values[:2].tolist())
    there = add_baseline(result.assign_attrs(device="cuda", backend="triton"), zoo_folder, [pair])
    np.testing.assert_array_equal(
        there["shifted_captured"], add_baseline(result, zoo_folder, [pair])["shifted_captured"]
    )
    with pytest.raises(TaskvecError, match="no such device"):
        sweep(zoo_folder, device="cuda")


def test_a_sweep_of_a_store_is_that_of_its_adapters(zoo_folder, tmp_path: Path) -> None:
    """Bit for bit; and its adapters are taken one by one, or among others, wherever adapters are."""
    place = tmp_path / "zoo.zarr"
    store = ingest(zoo_folder, place).store
    zoo = load_zoo(zoo_folder)
    assert [entry.name for entry in store.entries] == [one.name for one in zoo.adapters]
    bucket = Bucket((0, 1), 4)
    block = Block(tuple(zoo.adapters[0].modules)[::2], bucket, bucket)
    one, other = (compute(block, factors, Options()) for factors in (as_factors(zoo), as_factors([place])))
    assert isinstance(as_factors(place), FactorStore)
    for name, values in one.forward.items():
        assert torch.equal(values, other.forward[name])
    assert list(sweep(place)["source"].values) == [one.name for one in zoo.adapters]
    first = zoo.adapters[0].name
    one, other = load_adapter(f"{place}::{first}"), zoo.adapters[0]
    assert one.modules.keys() == other.modules.keys() and one.digest == other.digest
    for path, module in one.modules.items():
        b, a, scale = module.update()
        wanted, found = other.modules[path].update(), scale * b @ a
        assert (found - wanted.scale * wanted.b.float() @ wanted.a.float()).norm() <= 1e-5 * found.norm()
    with pytest.raises(TaskvecError, match="has no adapter 'nobody'"):
        load_adapter(f"{place}::nobody")
    with pytest.raises(TaskvecError, match=rf"holds {len(zoo.adapters)} adapters; name one: .*::{first}"):
        load_adapter(place)


def test_every_damage_is_found(adapter, tmp_path: Path, capsys) -> None:
    """Each file: a bit flipped anywhere, cut short, deleted, exchanged with another of its kind."""
    root = tmp_path / "zoo.zarr"
    ingest(Zoo((adapter("a", SPEC), adapter("b", SPEC, seed=1))), root)
    assert main(["verify", str(root)]) == 0 and "all as written" in capsys.readouterr().out
    files = sorted(path for path in root.rglob("*") if path.is_file() and ".taskvec" not in path.parts)
    generator = random.Random(0)
    for path in files:
        data = path.read_bytes()
        flipped = bytearray(data)
        flipped[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        for damage in (bytes(flipped), data[:-1], None):
            path.unlink() if damage is None else path.write_bytes(damage)
            try:
                said = " ".join(f"{one.file} {one.what}" for one in verify_store(root).damaged)
            except TaskvecError as error:
                said = str(error)
            assert path.name in said or "no store" in said, (path, damage)
            path.write_bytes(data)
    one, other = (path for path in files if path.parts[-6] == "U")
    one.write_bytes(other.read_bytes())
    assert main(["verify", "--json", str(root)]) == 1
    damaged = json.loads(capsys.readouterr().out)["damaged"]
    assert [str(root / item["file"]) for item in damaged] == [str(one)] and damaged[0]["adapters"] == ["a", "b"]


def test_a_damaged_chunk_stops_who_reads_it(store) -> None:
    path = next(path for path in Path(store.storage.url).rglob("*/U/c/0/0/0/0") if "24x16-k4" in str(path))
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.raises(TaskvecError, match=r"24x16-k4/U/c/0/0/0/0: has a damaged chunk .* restore it"):
        FactorStore.open(store.storage.url).read(("h.0.q",), (0,), 4)
    FactorStore.open(store.storage.url).read(("h.1.q",), (0,), 4)


@pytest.mark.parametrize("what", ["folder", "result", "newer", "damaged", "no JSON", "half made"])
def test_what_is_no_store(what: str, zoo, store, tmp_path: Path) -> None:
    place = tmp_path / "other"
    place.mkdir()
    document = json.loads((Path(store.storage.url) / "zarr.json").read_text())
    attributes = {
        "folder": None,
        "result": {"taskvec": "result"},
        "newer": document["attributes"] | {"version": 99},
        "damaged": document["attributes"] | {"dtype": "float16"},
    }.get(what)
    (place / "keep.txt").write_text("mine")
    if attributes:
        (place / "zarr.json").write_text(json.dumps(document | {"attributes": attributes}))
    if what == "no JSON":
        (place / "zarr.json").write_text("{")
    if what == "half made":
        (place / "keep.txt").unlink()
        (place / "batches").mkdir()
        (place / "batches/zarr.json").write_text("{}")
    said = {"newer": "another version", "damaged": "is damaged", "folder": "not a store", "half made": "no store"}
    before = sorted(place.rglob("*"))
    with pytest.raises(TaskvecError, match=r"no store of factors|another version|damaged"):
        open_root(Folder(place))
    if what == "half made":
        assert len(ingest(zoo, place).added) == len(zoo.adapters)
        return
    with pytest.raises(TaskvecError, match=said.get(what, "no store")):
        ingest(zoo, place)
    assert sorted(place.rglob("*")) == before and is_store(place) == (what in ("newer", "damaged"))


def test_an_entry_says_what_changes_the_factors(adapter) -> None:
    one: Adapter = adapter("a", SPEC)
    scaled = replace(one, modules={path: replace(module, scale=2.0) for path, module in one.modules.items()})
    assert entry_of(one).identity == entry_of(replace(one, name="b", path=Path("elsewhere"))).identity
    assert len({entry_of(item).identity for item in (one, scaled, replace(one, digest="other"))}) == 3


def test_many_adapters_are_factorised_next_to_the_result(zoo_folder, tmp_path: Path, monkeypatch) -> None:
    """Once, also when the sweep goes on; the result is bit for bit that of a sweep which needs no store."""
    plain = sweep(load_zoo(zoo_folder), tmp_path / "plain.zarr").load()
    monkeypatch.setattr("taskvec.sweeps.beside.HELD_BYTES", 0)
    made = []
    monkeypatch.setattr(AdapterFactors, "read", lambda self, *asked: made.append(asked))
    for _ in range(2):
        result = sweep(load_zoo(zoo_folder), tmp_path / "out.zarr").load()
        assert result.equals(plain) and not made
    assert len(FactorStore.open(tmp_path / "out.zarr/.taskvec/factors.zarr").entries) == 3
