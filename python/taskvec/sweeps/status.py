"""How far a result is, from its ledger alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import TaskvecError
from ..ledger.arrays import read_attributes
from ..ledger.lease import is_gone, read
from ..ledger.records import LEDGER, Ledger
from ..progress import Advance
from ..storage import Storage, open_storage
from .begin import COORDINATES, LISTED
from .job import state_of
from .metadata import damaged_metadata, plan_there
from .output import Stored, is_ours, stored

METADATA_UNIT = "metadata"  # in the place of a unit's name: what says what the result is


@dataclass(frozen=True)
class Status:
    """What is done of a sweep.

    Attributes:
        keep: what of it is kept.
        complete: whether it was finished.
        units: of all of it; of an approximate sweep those that are known so far.
        done: of which the chunks are on the disk.
        pairs: ordered pairs of adapters and modules.
        pairs_done: of the units that are done.
        bytes: of the chunks.
        seconds: that the units took, added up over processes.
        writer: the process that computes it now; empty for none.
    """

    path: str
    keep: str
    complete: bool
    adapters: int
    modules: int
    units: int
    done: int
    pairs: int
    pairs_done: int
    bytes: int
    seconds: float
    writer: str


@dataclass(frozen=True)
class Damage:
    """A file that is not the one that was written, and the unit that it is of."""

    chunk: str
    unit: str


def status(path: str | Path) -> Status:
    """How far the result at ``path`` is; whether chunks are there is seen from their sizes and last bytes.

    Raises:
        TaskvecError: there is no result.
    """
    storage, plan, ledger = opened(path)
    done = pairs = pairs_done = units = 0
    seconds = 0.0
    for unit in plan.units(ledger):
        units, pairs = units + 1, pairs + unit.pairs
        if ledger.is_done(unit.name, plan.key(unit)):
            done, pairs_done = done + 1, pairs_done + unit.pairs
            seconds += float(ledger.newest[unit.name].about.get("seconds", 0))
    size = sum(found[0] for record in ledger.newest.values() for found in record.chunks.values())
    holder = read(storage)
    writer = f"process {holder.get('pid')} on {holder.get('host')}" if holder and not is_gone(holder) else ""
    attributes = read_attributes(storage)
    return Status(
        str(path), str(attributes.get("keep", "all")), attributes.get("complete") == 1, len(plan.names),
        len(plan.plan.modules), units, done, pairs, pairs_done, size, seconds, writer,
    )  # fmt: skip


def damages(path: str | Path, advance: Advance = lambda chunks: None) -> Iterator[Damage]:
    """Every file of a result that is not as it was written, or not there; each byte is read."""
    storage, plan, ledger = opened(path)
    yield from (Damage(name, METADATA_UNIT) for name in (*damaged_metadata(storage), *sorted(ledger.spoilt)))
    if read_attributes(storage).get("complete") == 1:
        wanted = {unit.name: plan.key(unit) for unit in plan.units(ledger)}
        wanted[COORDINATES] = state_of(plan.identities)
        if plan.keep.lists:
            wanted[LISTED] = wanted[COORDINATES]
        for name, key in wanted.items():
            if name not in ledger.newest or ledger.newest[name].key != key:
                yield Damage(LEDGER, name)
    for record in ledger.newest.values():
        for chunk in ledger.damaged(record, all_bytes=True):
            yield Damage(chunk, record.unit)
        advance(len(record.chunks))


def chunk_count(path: str | Path) -> int:
    """Chunks of a result that were written."""
    return sum(len(record.chunks) for record in opened(path)[2].newest.values())


def forget(path: str | Path, units: set[str]) -> None:
    """Let a sweep compute units again; what they wrote before stays until then."""
    _, _, ledger = opened(path)
    for unit in sorted(units & ledger.newest.keys()):
        ledger.append(unit, "", ledger.newest[unit].chunks, ledger.newest[unit].about)


def opened(path: str | Path) -> tuple[Storage, Stored, Ledger]:
    """What is known of a result from its own folder."""
    storage = open_storage(path)
    ledger = Ledger(storage)
    ledger.refresh()
    plan = plan_there(storage, ledger) or stored(storage)
    if plan is None:
        what = "is a result of another version of taskvec" if is_ours(read_attributes(storage)) else "is no result"
        raise TaskvecError(what, where=str(path), fix="give the folder that taskvec sweep -o wrote")
    return storage, plan, ledger
