"""Units computed by workers that die, stop, are of another version or elsewhere: nothing is lost or counted twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import Cluster, cluster, until
from made_job import EPOCH, SECONDS, MadeJob, Unit, computed
from taskvec.errors import TaskvecError
from taskvec.sweeps.shard import Shard
from taskvec.version import __version__
from taskvec.workers import flight
from taskvec.workers.dask import Dask

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

UNITS = [Unit(f"u{i:02}", pairs=1 << i) for i in range(24)]  # pairs say which unit was counted
NAMES = [unit.name for unit in UNITS]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.start_worker("lasting", **{SECONDS: "0.05"})
        yield made


class Client:
    """A client in a thread of this process."""

    def __init__(self, address: str, root: Path | str, units: list[Unit] = UNITS) -> None:
        self.pairs: list[int] = []
        self.said: list[str] = []
        self.error: Exception | None = None
        self._run = lambda: Dask(scheduler=address, say=self.said.append)(MadeJob(str(root)), units, self.pairs.append)
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    @property
    def done(self) -> list[str]:
        """Names of the units that were counted."""
        return [UNITS[pairs.bit_length() - 1].name for pairs in self.pairs]

    def _watch(self) -> None:
        try:
            self._run()
        except Exception as error:
            self.error = error

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something to become so while it runs."""
        until(lambda: true() or not self.thread.is_alive())
        assert true(), (self.said, self.error)

    def end(self) -> None:
        self.thread.join(120)
        assert not self.thread.is_alive()
        if self.error:
            raise self.error


def test_a_worker_killed_half_way_costs_what_it_was_at(running: Cluster, tmp_path: Path) -> None:
    doomed = running.start_worker("doomed", **{SECONDS: "0.3"})
    client = Client(running.address, tmp_path)
    of_doomed = tmp_path / "computed" / str(doomed.pid)
    client.until(of_doomed.exists)
    doomed.kill()
    client.end()
    assert sorted(client.done) == NAMES
    again = Counter(computed(tmp_path)) - Counter(NAMES)
    assert set(computed(tmp_path)) == set(NAMES)
    assert sum(again.values()) <= 1  # what it was at, if that was counted and not written
    assert of_doomed.read_text()


def test_workers_that_would_spoil_the_result_are_left_out(
    running: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another version and one on another file system are named, and get no unit."""
    old = tmp_path / "old" / "taskvec"
    old.mkdir(parents=True)
    (old / "__init__.py").touch()
    (old / "version.py").write_text('__version__ = "0.0.9"')
    bad = [
        running.start_worker("old", PYTHONPATH=str(old.parent)),
        running.start_worker("elsewhere", cwd=tmp_path),
    ]
    running.wait_for(3)
    monkeypatch.chdir(running.folder)
    client = Client(running.address, "/proc/self/cwd/out")
    client.end()
    for process in bad:
        process.kill()
    said = sorted(re.sub(r"tcp://\S+ ", "", line) for line in client.said)
    place = "it does not see what was just written to /proc/self/cwd/out"
    assert said[0] == f"worker is left out: it has taskvec 0.0.9, this is {__version__}"
    assert said[1] == f"worker is left out: it is on another file system: {place}"
    assert sorted(client.done) == computed(running.folder / "out") == NAMES
    assert len(list((running.folder / "out" / "computed").iterdir())) == 1
    assert not list((running.folder / "out" / ".taskvec").iterdir())


def test_when_every_worker_is_refused_the_reason_is_said(
    running: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flight, "HOPE", 0.1)
    monkeypatch.setenv(EPOCH, "2")
    client = Client(running.address, tmp_path)
    with pytest.raises(TaskvecError, match=r"none of \d workers can take part: tcp://"):
        client.end()
    assert any("other code" in line for line in client.said)


def test_what_a_stopped_worker_holds_is_given_away(
    running: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flight, "SLOW_SECONDS", 1.0)
    straggler = running.start_worker("straggler", **{SECONDS: "1000"})
    client = Client(running.address, tmp_path)
    client.end()
    straggler.kill()
    assert sorted(client.done) == computed(tmp_path) == NAMES


def test_a_client_that_is_gone_costs_nothing(running: Cluster, tmp_path: Path) -> None:
    code = (
        "import sys; from taskvec.workers.dask import Dask; from made_job import MadeJob, Unit;"
        "Dask(scheduler=sys.argv[1])(MadeJob(sys.argv[2]), [Unit(name) for name in sys.argv[3:]], print)"
    )
    command = [sys.executable, "-uc", code, running.address, str(tmp_path), *NAMES]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    gone = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert gone.stdout
    assert gone.stdout.readline().strip()
    gone.kill()
    gone.communicate()
    client = Client(running.address, tmp_path)
    client.end()
    assert sorted(client.done) == computed(tmp_path) == NAMES


def test_a_unit_that_fails_is_said(running: Cluster, tmp_path: Path) -> None:
    client = Client(running.address, tmp_path, [*UNITS[:3], Unit("bad")])
    with pytest.raises(TaskvecError, match=r"unit bad failed \(ValueError: of this unit\)"):
        client.end()


def test_a_scheduler_that_is_gone_is_waited_for(running: Cluster, tmp_path: Path) -> None:
    client = Client(running.address, tmp_path, UNITS)
    client.until(lambda: len(client.done) > 2)
    running.scheduler.kill()
    running.scheduler.wait()
    running.start_scheduler()
    running.start_worker("after", **{SECONDS: "0.05"})
    client.end()
    assert sorted(client.done) == NAMES
    assert max(Counter(computed(tmp_path)).values()) <= 2  # one that the lost scheduler had given out
    assert set(computed(tmp_path)) == set(NAMES)


def test_a_local_cluster_whose_worker_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECONDS, "0.1")
    pairs: list[int] = []

    def kill_once(of_unit: int) -> None:
        pairs.append(of_unit)
        if len(pairs) == 5:
            os.kill(int(next((tmp_path / "computed").iterdir()).name), signal.SIGKILL)

    Dask(workers=2)(MadeJob(str(tmp_path)), UNITS, kill_once)
    assert sorted(pairs) == [unit.pairs for unit in UNITS]
    assert set(computed(tmp_path)) == set(NAMES)


def test_no_scheduler_is_one_line(tmp_path: Path) -> None:
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(TaskvecError, match="no scheduler answers"),
    ):
        Dask(scheduler="tcp://127.0.0.1:9")(MadeJob(str(tmp_path)), UNITS, print)


@pytest.mark.parametrize("n", [1, 3, 7, 40])
def test_shards_have_every_unit_once(n: int) -> None:
    units = [Unit(f"u{i}", pairs=1 + i % 5) for i in range(30)]
    parts = [Shard.parse(f"{k}/{n}").part(units) for k in range(1, n + 1)]
    assert [unit for part in parts for unit in part] == units
    costs = [sum(unit.pairs for unit in part) for part in parts]
    assert max(costs) - min(costs) <= 2 * 5


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/3", "1/0", "-1/3", "1/3/5"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(TaskvecError, match="--shard 3/8"):
        Shard.parse(text)
