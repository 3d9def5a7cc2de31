"""Whether the files that say what a result is are as they were written; their checksums are in themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from ..ledger.arrays import METADATA, is_group
from ..ledger.seals import is_sealed
from ..storage import Storage
from .job import STATES, state_of
from .output import PLAN


def damaged_metadata(storage: Storage) -> Iterator[str]:
    """Names of the files that are not; what the group says of an array decides for the array's own file."""
    if is_group(content(storage, METADATA)):
        yield from damaged_arrays(storage)
    else:
        yield METADATA
    if not is_sealed(content(storage, PLAN)):
        yield PLAN
    yield from damaged_states(storage)


def damaged_arrays(storage: Storage) -> dict[str, bytes]:
    """Metadata of arrays that are not what the group says of them, and what they must be."""
    found = json.loads(storage.read(METADATA))["consolidated_metadata"]["metadata"]
    wanted = {f"{name}/{METADATA}": json.dumps(one).encode() for name, one in found.items()}
    return {name: text for name, text in wanted.items() if content(storage, name) != text}


def mend(storage: Storage) -> bool:
    """Write again what follows from other files; a sweep writes the rest, which goes. Whether the group's did."""
    for name in [*damaged_states(storage)]:
        storage.remove(name)
    if is_group(content(storage, METADATA)):
        for name, text in damaged_arrays(storage).items():
            storage.write(name, text)
        return False
    storage.remove(METADATA)
    return True


def damaged_states(storage: Storage) -> Iterator[str]:
    """Lists of adapters that are not those whose hash is their name."""
    for name in storage.names(STATES):
        try:
            identities = json.loads(storage.read(name))["identities"]
            good = state_of(identities) == PurePosixPath(name).stem
        except (OSError, ValueError, KeyError, TypeError):
            good = False
        if not good:
            yield name


def content(storage: Storage, name: str) -> bytes:
    """Of a file; empty where there is none."""
    try:
        return storage.read(name)
    except OSError:
        return b""
