"""What a place says of itself: a store of factors, nothing, or what only looks like one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from ..errors import TaskvecError
from ..storage import Storage, open_storage
from .manifest import checksum_of
from .shards import RESTORE

METADATA = "zarr.json"
BATCHES = "batches"
BATCH = re.compile(rf"{BATCHES}/([0-9]{{6}})/zarr\.json$")
KIND = "store"  # the attribute "taskvec" of the root
VERSION = 1
CHUNK_BYTES = 256 * 2**10
Dtype = Literal["float32", "float16"]


@dataclass(frozen=True)
class Root:
    """The attributes of a store that never change.

    Attributes:
        identity: drawn at random when it was made: two places with the same are one store, or copies.
        dtype: of U and V.
        chunk_bytes: of an inner chunk.
        sketch: numbers a direction of its sketches, 0 for none.
        sketch_seed: of their random matrices.
    """

    identity: str = ""
    dtype: Dtype = "float32"
    chunk_bytes: int = CHUNK_BYTES
    sketch: int = 0
    sketch_seed: int = 0


def is_store(place: str | Path) -> bool:
    """Whether a place is a store of factors, of this version or another."""
    return _attributes(open_storage(place)).get("taskvec") == KIND


def open_root(storage: Storage) -> Root:
    """The attributes of a store.

    Raises:
        TaskvecError: there is none, it is something else, or a newer version wrote it.
    """
    told = _attributes(storage)
    if not told:
        raise TaskvecError("is no store of factors", where=storage.url, fix="make one with taskvec ingest")
    if told.get("taskvec") != KIND:
        fix = "give a store that taskvec ingest made"
        raise TaskvecError("is no store of factors", where=storage.url, got=_other(told), fix=fix)
    if told.get("version") != VERSION:
        got, expected = f"version {told.get('version')}", f"version {VERSION}"
        fix = "update taskvec, or ingest the adapters into a new store"
        raise TaskvecError("is a store of another version", where=storage.url, got=got, expected=expected, fix=fix)
    root = Root(**{name: told[name] for name in Root.__dataclass_fields__ if name in told})
    if told != root_attributes(root):
        raise TaskvecError("is damaged (its checksum differs)", where=f"{storage.url}/{METADATA}", fix=RESTORE)
    return root


def existing_root(storage: Storage) -> Root | None:
    """The attributes of a store that is there, None where one can be made.

    Raises:
        TaskvecError: the place is taken by something else.
    """
    if _attributes(storage):
        return open_root(storage)
    if next(_visible(storage), None) is not None:
        fix = "choose another output path"
        raise TaskvecError("exists and is not a store of factors", where=storage.url, fix=fix)
    return None


def make_root(storage: Storage, wanted: Root) -> Root:
    """The attributes of a store that is there, or of a new one as wanted: its identity is drawn here.

    Raises:
        TaskvecError: the place is taken by something else.
    """
    if root := existing_root(storage):
        return root
    made = replace(wanted, identity=uuid4().hex)
    write_group(storage, BATCHES, {})
    write_group(storage, "", root_attributes(made))
    return made


def root_attributes(root: Root) -> dict[str, Any]:
    """For JSON, with a checksum."""
    told = {"taskvec": KIND, "version": VERSION, **asdict(root)}
    return {**told, "sha256": checksum_of(told)}


def write_group(storage: Storage, name: str, attributes: Mapping[str, Any]) -> None:
    """The ``zarr.json`` of a group."""
    storage.write(f"{name}/{METADATA}".lstrip("/"), group_text(attributes))


def group_text(attributes: Mapping[str, Any]) -> bytes:
    """What is in it."""
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}).encode()


def batches(storage: Storage) -> list[str]:
    """The names of the batches that are whole, in the order in which they were written."""
    return [match[1] for match in map(BATCH.match, storage.names(BATCHES)) if match]


def _attributes(storage: Storage) -> dict[str, Any]:
    """Of the root group; {} where there is none."""
    try:
        document = json.loads(storage.read(METADATA))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        return {"taskvec": "damaged"}
    attributes = document.get("attributes") if isinstance(document, dict) else None
    return attributes if isinstance(attributes, dict) and attributes else {"taskvec": None}


def _other(told: dict[str, Any]) -> str:
    kinds = {"result": "the result of a sweep", "damaged": "a zarr.json that is no JSON"}
    return kinds.get(str(told.get("taskvec")), "another Zarr group")


def _visible(storage: Storage) -> Iterator[str]:
    """Files that are not of a store that was being made."""
    return (name for name in storage.names() if not name.startswith((".taskvec/", f"{BATCHES}/{METADATA}")))
