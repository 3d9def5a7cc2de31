"""One result made by many processes, or in an object store: the same bits as by one process on a disk."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import faults
import taskvec
from cluster import cluster
from faults import files, finish, ingest, start, sweep, sweep_by_workers
from s3 import s3_server
from taskvec.errors import TaskvecError
from taskvec.storage import open_storage
from taskvec.workers.dask import Dask
from taskvec_bench.zoos import square, write_folders

KILLS = 50
ARRAY = Path(__file__).parents[2] / "examples/cluster/slurm_array.sh"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("zoo")
    write_folders(root, square(20, 32, 2, 4))
    return root


@pytest.fixture(scope="module")
def alone(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the result of one process."""
    out = tmp_path_factory.mktemp("alone") / "out.zarr"
    finish(sweep, folders, out, "reduced")
    return files(out)


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taskvec.sweeps.plan, "SIDES", faults.SIDES)


def test_two_sweeps_to_one_result_are_one(folders: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    both = [start(sweep, folders, out, "reduced") for _ in range(2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert files(out) == alone


def test_shards_at_the_same_time_make_one_result(folders: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    parts = [start(sweep, folders, out, "reduced", shard=f"{k}/3") for k in (1, 2, 3)]
    for process in parts:
        process.join()
    assert [process.exitcode for process in parts] == [0, 0, 0]
    assert files(out) == alone


def test_the_last_shard_completes_the_result(folders: Path, tmp_path: Path) -> None:
    """By the script for SLURM's arrays; a part that is asked for again has nothing to do."""
    out = tmp_path / "out.zarr"
    (tmp_path / "taskvec").write_text(f'#!/bin/sh\nexec {sys.executable} -m taskvec "$@"\n')
    (tmp_path / "taskvec").chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
    finish(sweep, folders, tmp_path / "alone.zarr")
    finish(sweep, folders, out, shard="1/2")
    finish(sweep, folders, out, shard="1/2")
    assert not taskvec.open_result(out).attrs["complete"]
    command = [ARRAY, folders, out, "--baseline", "none"]
    task = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "2"}
    subprocess.run(command, env=os.environ | path | task, check=True, stdout=subprocess.DEVNULL)
    found, wanted = files(out), files(tmp_path / "alone.zarr")
    groups = [json.loads(one.pop("zarr.json")) for one in (found, wanted)]
    for group in groups:  # one of them was made by a command
        for name in ("command", "checksum"):
            group["attributes"].pop(name, None)
    assert found == wanted and groups[0] == groups[1]


def test_dask_workers_make_the_same_result(folders: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    """From a store, which the workers open by its name."""
    pytest.importorskip("distributed")
    store, out = tmp_path / "store.zarr", tmp_path / "out.zarr"
    finish(ingest, folders, store)
    finish(sweep, store, tmp_path / "alone.zarr", "reduced")
    taskvec.sweep(store, out, keep="reduced", engine=Dask(workers=2))
    assert files(out) == files(tmp_path / "alone.zarr")
    hosts = list((out / ".taskvec/ledger").iterdir())
    assert len(hosts) == 3  # the coordinates are the client's


@pytest.mark.skipif(not faults.SOAK, reason="make soak: minutes")
def test_kills_of_workers_schedulers_and_clients_end_with_the_same_bits(tmp_path: Path) -> None:
    write_folders(tmp_path / "zoo", square(48, 32, 2, 4))
    store, out, alone = (tmp_path / f"{name}.zarr" for name in ("store", "out", "alone"))
    finish(ingest, tmp_path / "zoo", store)
    finish(sweep, store, alone, "reduced")
    draw, killed = random.Random(0), Counter[str]()
    with cluster(tmp_path) as made:
        at_work = [made.start_worker(f"first-{i}") for i in range(2)]
        client = start(sweep_by_workers, store, out, "reduced", made.address)
        while killed.total() < KILLS:
            client.join(draw.uniform(0, 3))
            if client.exitcode is not None:
                assert client.exitcode == 0 and files(out) == files(alone)
                shutil.rmtree(out)
                client = start(sweep_by_workers, store, out, "reduced", made.address)
                continue
            whom = draw.choice(["worker", "worker", "scheduler", "client"])
            killed[whom] += 1
            if whom == "client":
                client.kill()
                client.join()
                client = start(sweep_by_workers, store, out, "reduced", made.address)
                continue
            if whom == "scheduler":
                made.scheduler.kill()
                made.scheduler.wait()
                made.start_scheduler()
            at_work.pop(0).kill()
            at_work.append(made.start_worker(f"{whom}-{killed.total()}"))
            at_work = [worker for worker in at_work if worker.poll() is None]  # some end with their scheduler
            at_work += [made.start_worker(f"more-{killed.total()}") for _ in range(2 - len(at_work))]
        client.join()
    assert client.exitcode == 0 and files(out) == files(alone)
    print(dict(killed))


def test_stores_and_results_in_an_object_store(
    folders: Path, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    with s3_server("bucket") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        taskvec.ingest(folders, "s3://bucket/zoo.zarr")
        dataset = taskvec.sweep("s3://bucket/zoo.zarr", "s3://bucket/out.zarr", keep="reduced")
        assert dataset.attrs["complete"] == 1
        assert taskvec.open_result("s3://bucket/out.zarr").equals(dataset)
        assert by_command("s3://bucket/zoo.zarr", "-o", "s3://bucket/by-command.zarr", "--keep", "reduced") == 0
        storage = open_storage("s3://bucket/out.zarr")
        found = {name: storage.read(name) for name in storage.names() if not name.startswith(".taskvec")}
        ingested, local = tmp_path / "zoo.zarr", tmp_path / "out.zarr"
        taskvec.ingest(folders, ingested)
        taskvec.sweep(ingested, local, keep="reduced")
        assert found == files(local)


def by_command(*arguments: str) -> int:
    """``taskvec sweep``, its exit status."""
    from taskvec.cli import main

    return main(["sweep", *arguments, "--baseline", "none"])


def test_options_that_exclude_each_other(folders: Path, tmp_path: Path) -> None:
    from taskvec.cli.workers import engine_of

    with pytest.raises(TaskvecError, match="--workers and --shard; give one of them"):
        engine_of({"workers": 2, "shard": "1/2"})
    with pytest.raises(TaskvecError, match="--shard 3/8"):
        engine_of({"shard": "5/2"})
    assert engine_of({}) is engine_of({"shard": "1/2"}) is None
    with pytest.raises(TaskvecError, match="give out="):
        taskvec.sweep(folders, shard="1/2")
