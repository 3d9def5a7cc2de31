"""Each figure: a function of a place that yields what it measured. Each is run in a fresh process."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple
from unittest.mock import patch

from .kernels import kernels, kernels_at_once
from .place import Place, empty, megabytes, seconds
from .process import run, taskvec

ADAPTERS = 1000
GROWTH = (500, 1000, 2000, 4000)
STARTS = 5  # of processes that are compared, in turn; the best counts
REPEATS = 2  # of what is compared within a process, in turn; the best counts
UNITS_REPEATS = 3  # where a few per cent are looked for
ADDINGS = 5
KILLS = 5  # what a unit at work has lost differs from one to the next


class NothingWrittenError(Exception):
    """A sweep that is not to end."""


class Measured(NamedTuple):
    """One number; ``bound`` is the most, or where ``least`` the least, that it may be."""

    what: str
    value: float
    unit: str
    adapters: int
    bound: float | None = None
    least: bool = False


def times(place: Place) -> Iterator[Measured]:
    """A sweep of 1,000 adapters from a store and from folders, next to the kernels alone."""
    N = place.count(ADAPTERS)
    folders = place.folders(0, N)
    store = place.store(0, N)
    ways: dict[str, Callable[[], float]] = {
        "kernels": lambda: kernels(store),
        "sweep of a store": lambda: seconds(lambda: sweep(store, place.out("of-store"))),
        "sweep of folders": lambda: seconds(lambda: sweep(folders, place.out("of-folders"))),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(REPEATS):
        for name, way in ways.items():
            best[name] = min(best[name], way())
    yield from (Measured(name, value, "s", N) for name, value in best.items())
    yield Measured("sweep of a store / kernels", best["sweep of a store"] / best["kernels"], "", N, 1.5)
    yield Measured("sweep of folders / kernels", best["sweep of folders"] / best["kernels"], "", N, 2.5)
    yield Measured("store", megabytes(store) / N, "MB an adapter", N)
    yield Measured("result, reduced", 1e6 * megabytes(place.root / "of-store.zarr") / N**2, "B a pair", N)


def sweep(zoo: Path, out: Path, **options: Any) -> Any:
    import taskvec

    return taskvec.sweep(zoo, out, **({"keep": "reduced"} | options))


def gpu(place: Place) -> Iterator[Measured]:
    """The same sweeps on a GPU, where there is one, next to the kernels alone there; the host reads and writes."""
    import torch

    if not torch.cuda.is_available():
        return
    N = place.count(ADAPTERS)
    folders = place.folders(0, N)
    store = place.store(0, N)
    ways: dict[str, Callable[[], float]] = {
        "kernels": lambda: kernels(store, "cuda"),
        "sweep of a store": lambda: seconds(lambda: sweep(store, place.out("of-store"), device="cuda")),
        "sweep of folders": lambda: seconds(lambda: sweep(folders, place.out("of-folders"), device="cuda")),
    }
    for name, way in ways.items():
        way()  # kernels are compiled
        yield Measured(f"{name} on a GPU", min(way() for _ in range(REPEATS)), "s", N)
    command = taskvec("sweep", store, "-o", place.out("of-command"), "--keep", "reduced", "--device", "cuda")
    yield Measured("peak anonymous memory of the host", run(command).anonymous, "MiB", N)


def growth(place: Place) -> Iterator[Measured]:
    """The command for N = 500 to 4,000: its peak memory, and what its units take."""
    before, spent = 0, dict[int, float]()
    for adapters in GROWTH:
        N = place.count(adapters)
        store = place.store(before, N)
        out = place.out("grown")
        ran = run(taskvec("sweep", store, "-o", out, "--keep", "reduced"))
        before, spent[N] = N, of_units(out)
        yield Measured("peak anonymous memory", ran.anonymous, "MiB", N, 1024)
        yield Measured("whole command", ran.seconds, "s", N)
        yield Measured("units", spent[N], "s", N)
        if N // 2 in spent and adapters > ADAPTERS:
            yield Measured("units, next to N² from half of N", spent[N] / spent[N // 2] / 4, "", N, 1.15)


def of_units(out: Path) -> float:
    """Seconds that the units of a result took, from its ledger."""
    return float(sum(record["about"]["seconds"] for record in records(out)))


def records(out: Path) -> list[dict[str, Any]]:
    lines = [line for file in (out / ".taskvec/ledger").glob("*") for line in file.read_text().splitlines()]
    return [record for record in map(json.loads, lines) if "seconds" in record["about"]]  # units, not coordinates


def ingest(place: Place) -> Iterator[Measured]:
    """A store made of 1,000 folders, next to factorising them alone."""
    from taskvec import load_zoo
    from taskvec.ingestion import ingest
    from taskvec.store.canonical import canonical_forms

    N = place.count(ADAPTERS)
    folders = place.folders(0, N)
    zoo = load_zoo(folders)

    def factor() -> None:
        for path, module in zoo.adapters[0].modules.items():
            canonical_forms(zoo.adapters, [path], module.rank)

    alone = whole = float("inf")
    for _ in range(REPEATS):
        alone = min(alone, seconds(factor))
        whole = min(whole, seconds(lambda: ingest(folders, place.out("ingested"))))
    yield Measured("factorising alone", alone, "s", N)
    yield Measured("ingest", whole, "s", N)
    yield Measured("ingest / factorising", whole / alone, "", N, 1.5)


LOADING = """
import sys, time
import taskvec
taskvec.load_zoo
started = time.perf_counter()
taskvec.load_zoo(sys.argv[1])
print(time.perf_counter() - started)
"""


def loading(place: Place) -> Iterator[Measured]:
    """10,000 PEFT folders of 12 modules: found, checked and hashed, nothing factorised."""
    N = place.count(10_000)
    ran = run([sys.executable, "-c", LOADING, str(place.folders_of_12(N))])
    yield Measured("load_zoo of 12 modules each", float(ran.output.split()[-1]), "s", N, 60)
    yield Measured("its peak anonymous memory", ran.anonymous, "MiB", N)


def many_small(place: Place) -> Iterator[Measured]:
    """10,000 small adapters, 1 % of them broken."""
    N = place.count(10_000)
    folders = place.small_folders(N, 0.01)
    ran = run(taskvec("ingest", folders, "-o", place.out("small-store"), "--skip-bad"))
    yield Measured("ingest of small adapters", ran.seconds, "s", N, 90)
    yield Measured("its peak anonymous memory", ran.anonymous, "MiB", N)


def workers(place: Place) -> Iterator[Measured]:
    """Two Dask workers of one thread, next to one such worker; clusters and imports are not counted.

    And what the machine allows: the kernels alone in two processes at once, next to one.
    """
    from distributed import LocalCluster

    from taskvec.workers.crew import Crew
    from taskvec.workers.dask import Dask

    N = place.count(ADAPTERS)
    store, warm = place.store(0, N), place.store(0, 8, "WARM")
    cluster: Any = LocalCluster  # it has no types
    settings = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    spent = dict[int, float]()
    with patch.object(Crew, "threads", 1):  # else a worker that is alone gets every core
        for number in (1, 2):
            with cluster(n_workers=number, **settings) as started:
                engine = Dask(scheduler=started.scheduler_address)
                sweep(warm, place.out(f"warm-{number}"), engine=engine)  # what workers import is imported
                out = place.out(f"of-{number}")
                spent[number] = seconds(partial(sweep, store, out, engine=engine))
    one, two = spent[1], spent[2]
    yield Measured("one worker of one thread", one, "s", N)
    yield Measured("two workers of one thread", two, "s", N)
    yield Measured("one / two", one / two, "", N, 1.7, least=True)
    alone, both = (kernels_at_once(store, processes) for processes in (1, 2))
    yield Measured("kernels of one thread", alone, "s", N)
    yield Measured("twice that / two processes of them at once", 2 * alone / both, "", N)


def adding(place: Place) -> Iterator[Measured]:
    """Ten more adapters, next to all of them: the mean of some times, each to a copy of the result."""
    N = place.count(ADAPTERS)
    more = max(1, N // 100)
    store, out = place.store(0, N), place.out("added-to")
    whole = seconds(lambda: sweep(store, out))
    copies = [Path(shutil.copytree(out, place.out(f"added-to-{i}"))) for i in range(ADDINGS)]
    place.store(N, N + more)
    os.sync()  # the copies too
    added = mean(seconds(partial(sweep, store, copy)) for copy in copies)
    yield Measured("sweep", whole, "s", N)
    yield Measured(f"{more} more adapters, mean", added, "s", N)
    yield Measured("more / sweep", added / whole, "", N, 0.1)


CHILD = """
import sys, time
import taskvec
store, warm, out, begun = sys.argv[1:]
taskvec.sweep(warm)
open(begun, "x")
started = time.perf_counter()
taskvec.sweep(store, out, keep="reduced")
print(time.perf_counter() - started)
"""
BEGUN = ".begun"  # ends the name of a file that is there when the sweep of OUT begins


def resume(place: Place) -> Iterator[Measured]:
    """Sweeps that are killed at half and run again, next to ones that are not, in turn; imports are not counted."""
    N = place.count(ADAPTERS)
    store, warm = place.store(0, N), place.store(0, 8, "WARM")
    whole, both, differ = list[float](), list[float](), 0

    def child(out: Path, kill_after: float = float("inf")) -> float:
        """Seconds of a sweep to its end or its kill."""
        begun = Path(f"{out}{BEGUN}")
        begun.unlink(missing_ok=True)

        def spent() -> float:
            return time.time() - begun.stat().st_mtime if begun.exists() else 0.0

        ran = run(
            [sys.executable, "-c", CHILD, str(store), str(warm), str(out), str(begun)],
            kill=lambda: spent() > kill_after,
        )
        return float(ran.output) if ran.output else kill_after

    for _ in range(KILLS):
        undisturbed, out = place.out("undisturbed"), place.out("killed")
        whole.append(child(undisturbed))
        both.append(child(out, whole[-1] / 2) + child(out))
        differ += differing(undisturbed, out)
    yield Measured("undisturbed, mean", mean(whole), "s", N)
    yield Measured("killed at half of that and run again, mean", mean(both), "s", N)
    yield Measured("both / undisturbed", mean(both) / mean(whole), "", N, 1.05)
    yield Measured("files that differ", differ, "", N, 0)


def differing(a: Path, b: Path) -> int:
    """Chunks that are not the same in both, byte for byte."""
    files = [{path.relative_to(root): path for path in root.glob("*/c/**/*") if path.is_file()} for root in (a, b)]
    return sum(
        name not in files[0] or name not in files[1] or files[0][name].read_bytes() != files[1][name].read_bytes()
        for name in files[0].keys() | files[1].keys()
    )


def units(place: Place) -> Iterator[Measured]:
    """What the ledger, the checksums and the disk add to a sweep: next to one that writes nothing, in turn."""
    from taskvec.sweeps.job import Job
    from taskvec.sweeps.running import in_this_process

    N = place.count(ADAPTERS)
    store, spent, number = place.store(0, N), dict[str, float](), 0

    def engine(job: Any, some: list[Any], advance: Any) -> None:
        nonlocal number
        number = len(some)
        way = "units" if job.commit.__func__ is commit else "units, nothing written"
        spent[way] = min(spent.get(way, float("inf")), seconds(lambda: in_this_process(job, some, advance)))
        if job.commit.__func__ is not commit:
            raise NothingWrittenError

    commit = Job.commit
    for _ in range(UNITS_REPEATS):
        sweep(store, place.out("units"), engine=engine)
        with suppress(NothingWrittenError), patch.object(Job, "commit", lambda job, unit, parts, took: [*parts]):
            sweep(store, place.out("units"), engine=engine)
    yield from (Measured(way, value, "s", N) for way, value in spent.items())
    yield Measured("number of units", number, "", N)
    yield Measured("what writing adds", spent["units"] / spent["units, nothing written"] - 1, "", N, 0.03)


SHOWN = """
import sys, time
import taskvec
from taskvec.queries.selection import Selection, select
started = time.perf_counter()
select(taskvec.open_result(sys.argv[1]), Selection(top=10))
print(time.perf_counter() - started)
"""
RANKING = """
import sys, time
import taskvec
started = time.perf_counter()
taskvec.ranking(taskvec.open_result(sys.argv[1]))
print(time.perf_counter() - started)
"""


def ranking(place: Place) -> Iterator[Measured]:
    """The ranking of a million pairs, from a reduced result: what a command shows, and the whole as a frame."""
    N = place.count(ADAPTERS)
    out = place.out("ranked")
    sweep(place.store(0, N), out)
    for what, script in (("ranking, its ends shown", SHOWN), ("ranking as a frame", RANKING)):
        ran = run([sys.executable, "-c", script, str(out)])
        yield Measured(what, float(ran.output.split()[-1]), "s", N, 3)
        yield Measured(f"{what}: peak anonymous memory", ran.anonymous, "MiB", N, 300)


def pages(place: Place) -> Iterator[Measured]:
    """The explorer on a reduced result: how long it reads, and the slowest of its pages."""
    from .pages import page_seconds

    N = place.count(ADAPTERS)
    out = place.out("explored")
    sweep(place.store(0, N), out)
    found = dict(page_seconds(out))
    yield Measured("explore: reading the result", found.pop("reading"), "s", N)
    for name, took in found.items():
        yield Measured(f"explore: page {name}", took, "s", N, 0.3)


def startup(place: Place) -> Iterator[Measured]:
    """``taskvec sweep`` as one types it, of 26 adapters with 12 modules of GPT-2's c_attn, next to ``import torch``."""
    from ..cases.inputs import Model
    from ..cases.loading import folders

    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # people's imports are compiled once
    model = Model("small-c_attn", 64, 64, 2) if place.tiny else Model("small-c_attn", 2304, 768, 12)
    N = 2 if place.tiny else 26
    root, best = folders(model, N, 8), dict[str, float]()
    for _ in range(1 if place.tiny else STARTS):  # the first compiles
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "import torch, xarray, zarr": [sys.executable, "-c", "import torch, xarray, zarr"],
            "--help": taskvec("--help"),
            "sweep": taskvec("sweep", root.name, "-o", place.out("started"), "--progress", "off"),
        }
        for what, command in commands.items():
            best[what] = min(best.get(what, float("inf")), run(command).seconds)
    yield from (Measured(f"start-up: {what}", took, "s", N) for what, took in best.items())
    yield Measured("start-up: sweep / import torch", best["sweep"] / best["import torch"], "", N, 1.6)


FIGURES: dict[str, Callable[[Place], Iterator[Measured]]] = {
    "times": times,
    "gpu": gpu,
    "growth": growth,
    "ingest": ingest,
    "loading": loading,
    "many_small": many_small,
    "workers": workers,
    "adding": adding,
    "resume": resume,
    "units": units,
    "ranking": ranking,
    "startup": startup,
    "pages": pages,
}
ON_GPU = {"gpu"}


def measure(name: str, root: Path, tiny: bool) -> Iterator[Measured]:
    """One figure in a folder of its own, whose files are empty afterwards."""
    place = Place(root / name, tiny)
    place.root.mkdir(parents=True)
    try:
        yield from FIGURES[name](place)
    finally:
        empty(place.root)
        os.sync()  # so that the next figure does not pay for what this one wrote
