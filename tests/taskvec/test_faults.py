"""Kills, full disks and damaged files: what is left goes on, to the same bits, and what is wrong is named."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

import faults
import taskvec
from faults import Crash, FullDiskError, damage, failing_after, files, finish, ingest, kill, sweep
from taskvec.errors import TaskvecError
from taskvec.ledger.checked import open_dataset
from taskvec.ledger.records import Ledger
from taskvec.storage import open_storage
from taskvec.sweeps.repair import repair_result
from taskvec.sweeps.status import damages
from taskvec_bench.zoos import square, write_folders

KILLS = 60 if faults.SOAK else 4
DAMAGES = 300 if faults.SOAK else 12
FAILURES = 50 if faults.SOAK else 2
KEEPS = ("all", "reduced", "top=3", "approximate")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("zoo")
    write_folders(root, square(17, 32, 2, 4))
    return root


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taskvec.sweeps.plan, "SIDES", faults.SIDES)


@pytest.fixture(scope="module")
def undisturbed(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Results that nothing happened to, by what is kept."""
    root = tmp_path_factory.mktemp("undisturbed")
    for keep in KEEPS:
        finish(sweep, folders, root / f"{keep}.zarr", keep)
    return {path.stem: path for path in root.iterdir()}


@pytest.mark.parametrize("keep", KEEPS)
def test_a_sweep_killed_at_random_ends_with_the_same_bits(
    keep: str, folders: Path, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    draw, out, killed = random.Random(keep), tmp_path / "out.zarr", 0
    seconds = finish(sweep, folders, tmp_path / "timed.zarr", keep)
    while killed < KILLS / 4:
        started = time.monotonic()
        if kill(draw.uniform(0, seconds), sweep, folders, out, keep):
            killed += 1
            continue
        seconds = min(seconds, time.monotonic() - started)  # the first one may have been slow
        if out.exists():
            assert files(out) == files(undisturbed[keep])
            shutil.rmtree(out)
    finish(sweep, folders, out, keep)
    assert files(out) == files(undisturbed[keep])
    assert set(units(out).values()) == {1}


def units(out: Path) -> Counter[str]:
    """How often each was committed with the same key."""
    lines = [line for file in (out / ".taskvec/ledger").iterdir() for line in file.read_bytes().splitlines()]
    read = [json.loads(line) for line in lines if line.endswith(b"}")]
    return Counter(f"{line['unit']} {line['key']}" for line in read if "/" in line["unit"])


def test_ingest_killed_at_random_ends_with_the_same_factors(folders: Path, tmp_path: Path) -> None:
    draw, out, killed = random.Random(0), tmp_path / "store.zarr", 0
    seconds = finish(ingest, folders, tmp_path / "timed.zarr")
    finish(sweep, tmp_path / "timed.zarr", tmp_path / "undisturbed.zarr", "reduced")
    while killed < KILLS / 4:
        started = time.monotonic()
        if kill(draw.uniform(0, seconds), ingest, folders, out):
            killed += 1
            continue
        seconds = min(seconds, time.monotonic() - started)
        if out.exists():
            shutil.rmtree(out)
    finish(ingest, folders, out)
    finish(sweep, out, tmp_path / "of-store.zarr", "reduced")
    assert files(tmp_path / "of-store.zarr") == files(tmp_path / "undisturbed.zarr")


@pytest.mark.parametrize("error", [Crash, FullDiskError])
def test_a_sweep_that_fails_at_any_write_goes_on(
    error: type[BaseException], folders: Path, undisturbed: dict[str, Path], tmp_path: Path
) -> None:
    """A full disk at the start, in the middle, in the ledger: one line, and nothing is lost or half there."""
    with failing_after(1 << 60, error) as count:
        sweep(folders, tmp_path / "counted.zarr")
    for writes in (0, count[0] - 1, *random.Random(0).sample(range(1, count[0] - 1), FAILURES)):
        out = tmp_path / f"out-{writes}.zarr"
        with failing_after(writes, error), pytest.raises((Crash, TaskvecError)) as stopped:
            sweep(folders, out)
        if error is FullDiskError:
            assert isinstance(stopped.value, TaskvecError)
            assert "No space left on device" in str(stopped.value)
            assert not list(tmp_path.rglob("*.partial"))
        sweep(folders, out)
        assert files(out) == files(undisturbed["all"])
        shutil.rmtree(out)


def test_a_clock_that_jumps_changes_nothing(
    folders: Path, undisturbed: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, real = random.Random(0), time.time
    monkeypatch.setattr(time, "time", lambda: real() + draw.uniform(-1e6, 1e6))
    sweep(folders, tmp_path / "out.zarr")
    assert files(tmp_path / "out.zarr") == files(undisturbed["all"])


def test_damage_of_a_result_is_found_and_named(undisturbed: dict[str, Path], tmp_path: Path) -> None:
    draw = random.Random(0)
    for keep in ("all", "reduced"):
        out = tmp_path / f"{keep}.zarr"
        shutil.copytree(undisturbed[keep], out)
        whole, foreign = chunks(out), chunks(undisturbed["top=3"])
        for _ in range(DAMAGES // 2):
            spoilt, undo = damage(whole, foreign, draw)
            changed = {path.relative_to(out).as_posix() for path in spoilt}
            assert set(damaged(out)) == changed
            with pytest.raises(TaskvecError) as found:
                open_dataset(out).load()
            assert any(name in str(found.value) for name in changed)
            undo()
        open_dataset(out).load()


def test_a_flipped_bit_in_any_file_of_a_result_is_found(undisturbed: dict[str, Path], tmp_path: Path) -> None:
    draw = random.Random(1)
    for keep in ("all", "top=3"):
        out = tmp_path / f"{keep}.zarr"
        shutil.copytree(undisturbed[keep], out)
        every = sorted(path for path in out.rglob("*") if path.is_file())
        kinds = {(path.name if path.suffix == ".json" else path.suffix or path.parts[-2]): path for path in every}
        chosen = [out / "zarr.json", *kinds.values(), *(draw.choice(every) for _ in range(DAMAGES // 2))]
        for path in chosen:
            before = path.read_bytes()
            data = bytearray(before)
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            path.write_bytes(data)
            assert found_by_verify(out), path
            if path == out / "zarr.json":
                with pytest.raises(TaskvecError, match=r"zarr\.json"):
                    open_dataset(out)
            path.write_bytes(before)
        assert not found_by_verify(out)


def found_by_verify(out: Path) -> list[str]:
    return [one.chunk for one in damages(out)]


def test_damaged_metadata_are_written_again(undisturbed: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    shutil.copytree(undisturbed["reduced"], out)
    (ledger,) = (out / ".taskvec/ledger").iterdir()
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join([lines[0].replace(b"e", b"f", 1), *lines[1:3], b"torn\n", *lines[3:]]))
    for spoilt in ("zarr.json", "rec/zarr.json", ".taskvec/plan.json"):
        text = (out / spoilt).read_bytes()
        (out / spoilt).write_bytes(text.replace(b"rec", b"ree", 1))
        found = list(damages(out))
        assert spoilt in {one.chunk for one in found}
        repair_result(out, {one.unit for one in found})
        assert list(damages(out)) == []
        assert chunks_of(out) == chunks_of(undisturbed["reduced"])


def chunks_of(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in chunks(out)}


def chunks(out: Path) -> list[Path]:
    """Files with values of a result; coordinates too."""
    return sorted(path for path in out.glob("*/c/**/*") if path.is_file())


def damaged(out: Path) -> list[str]:
    ledger = Ledger(open_storage(out))
    ledger.refresh()
    return [name for record in ledger.newest.values() for name in ledger.damaged(record, all_bytes=True)]
