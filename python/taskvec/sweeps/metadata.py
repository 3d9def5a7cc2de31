"""Whether the files that say what a result is are as they were written; their checksums are in themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from ..errors import TaskvecError
from ..ledger.arrays import METADATA, is_group
from ..ledger.records import Ledger
from ..storage import Storage
from .begin import COORDINATES
from .job import STATES, state_file, state_of
from .output import PLAN, Stored


def damaged_metadata(storage: Storage) -> Iterator[str]:
    """Names of the files that are not; what the group says of an array decides for the array's own file."""
    if is_group(content(storage, METADATA)):
        yield from damaged_arrays(storage)
    else:
        yield METADATA
    if Stored.of_text(content(storage, PLAN)) is None:
        yield PLAN
    yield from damaged_states(storage)


def damaged_arrays(storage: Storage) -> dict[str, bytes]:
    """Metadata of arrays that are not what the group says of them, and what they must be."""
    found = json.loads(storage.read(METADATA))["consolidated_metadata"]["metadata"]
    wanted = {f"{name}/{METADATA}": json.dumps(one).encode() for name, one in found.items()}
    return {name: text for name, text in wanted.items() if content(storage, name) != text}


def mend(storage: Storage, ledger: Ledger) -> bool:
    """Write again what follows from other files; a sweep writes the rest, which goes. Whether the group's did.

    Raises:
        TaskvecError: neither the plan nor its copy is as it was written.
    """
    plan = plan_there(storage, ledger)
    if plan is None:
        what, fix = "is damaged, and so is its copy", "sweep to another output path"
        raise TaskvecError(what, where=f"{storage.url}/{PLAN}", fix=fix)
    for name in [*damaged_states(storage)]:
        storage.remove(name)
    for name in (PLAN, state_file(state_of(plan.identities))):
        storage.write(name, plan.text())
    if is_group(content(storage, METADATA)):
        storage.write_all(damaged_arrays(storage))
        return False
    storage.remove(METADATA)
    return True


def plan_there(storage: Storage, ledger: Ledger) -> Stored | None:
    """The plan of a result, or its copy where it is damaged; None where neither is as it was written."""
    coordinates = ledger.newest.get(COORDINATES)
    copy = state_file(coordinates.key) if coordinates else ""
    return Stored.of_text(content(storage, PLAN)) or Stored.of_text(content(storage, copy))


def damaged_states(storage: Storage) -> Iterator[str]:
    """Copies of plans that are not as they were written, or not of the adapters whose hash is their name."""
    for name in storage.names(STATES):
        copy = Stored.of_text(content(storage, name))
        if copy is None or state_of(copy.identities) != PurePosixPath(name).stem:
            yield name


def content(storage: Storage, name: str) -> bytes:
    """Of a file; empty where there is none."""
    try:
        return storage.read(name)
    except OSError:
        return b""
