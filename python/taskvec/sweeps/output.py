"""The place of a result: what may be written there, what is there already, and how it is begun and finished."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from ..errors import TaskvecError
from ..ledger.arrays import METADATA, Array, read_attributes
from ..ledger.lease import Lease
from ..ledger.records import OWN, Ledger
from ..ledger.seals import is_sealed, sealed
from ..storage import Folder, Storage, open_storage, remote_url
from ..store.entry import Entry
from .job import read_list, unit_key
from .keep import Keep
from .plan import Plan, Unit
from .search import Stages

PLAN = f"{OWN}/plan.json"
RESULT = "result"  # the attribute "taskvec" of a result


@dataclass(frozen=True)
class Stored:
    """What is known of a result before it is computed: its plan, and of which options and adapters that is.

    Attributes:
        plan: with entries of names alone.
        context: of all that decides values besides the adapters.
        identities: of the adapters.
        options: what the context says, for people.
        replaces: an older result, which goes when this one is complete; empty for none.
        inputs: what ``load_zoo`` was given, to read them again; None: adapters from elsewhere.
    """

    names: tuple[str, ...]
    identities: tuple[str, ...]
    plan: Plan
    context: str
    options: Mapping[str, Any]
    replaces: str = ""
    inputs: Mapping[str, Any] | None = None

    @property
    def keep(self) -> Keep:
        return Keep.of_told(self.options)

    def units(self, ledger: Ledger) -> Iterator[Unit]:
        """Every unit that is known."""
        plan = replace(self.plan, entries=tuple(map(named, self.names)))
        if self.keep.how != "approximate":
            return plan.units()

        def is_done(unit: Unit) -> bool:
            return ledger.is_done(unit.name, self.key(unit))

        return Stages(plan, self.keep.floor, is_done, partial(read_list, ledger.folder)).units()

    def key(self, unit: Unit) -> str:
        """That its record must have."""
        return unit_key(self.context, self.identities, unit)

    def text(self) -> bytes:
        plan = self.plan
        about = {
            "context": self.context, "options": dict(self.options), "chunk": plan.chunk, "side": plan.side,
            "group": plan.group, "modules": plan.modules, "shapes": plan.shapes, "names": self.names,
            "identities": self.identities, "replaces": self.replaces, "inputs": self.inputs,
        }  # fmt: skip
        return sealed(json.loads(json.dumps(about, default=str)))

    @classmethod
    def of_text(cls, data: bytes) -> Stored | None:
        """None for what ``text`` did not make, every byte."""
        if not is_sealed(data):
            return None
        found = json.loads(data)
        try:
            shapes = tuple((int(m), int(n)) for m, n in found["shapes"])
            plan = Plan((), tuple(found["modules"]), shapes, found["chunk"], found["side"], found["group"])
            names, identities = tuple(found["names"]), tuple(found["identities"])
            about = (found[name] for name in ("context", "options", "replaces", "inputs"))
            return cls(names, identities, plan, *about)
        except (KeyError, TypeError, ValueError):
            return None


def named(name: str) -> Entry:
    """An adapter of which nothing else is known."""
    return Entry(name, "", "", "", "", None, {})


def stored(storage: Storage) -> Stored | None:
    """The plan of the result there; None where there is none.

    Raises:
        TaskvecError: it is of another version, or damaged.
    """
    try:
        found = Stored.of_text(storage.read(PLAN))
    except FileNotFoundError:
        return None
    except OSError:
        found = None
    if found is None:
        fix = f"taskvec verify {storage.url} --repair writes it again"
        raise TaskvecError("is damaged", where=f"{storage.url}/{PLAN}", fix=fix)
    return found


def check_output(path: str | Path, *, overwrite: bool) -> None:
    """TaskvecError when no result may be written to ``path``; one of ours may be there, and is gone on with."""
    if remote_url(path) is not None:
        if (attributes := read_attributes(open_storage(path))) and not is_ours(attributes):
            raise TaskvecError(what_else(attributes), where=str(path), fix=OTHER_PATH)
        return
    path = Path(path)
    if path.name in ("", ".."):
        raise TaskvecError("is not a name for a result", where=path, fix="name a folder, e.g. OUT.zarr")
    if not path.parent.is_dir():
        raise TaskvecError("the folder does not exist", where=path.parent, fix="create it first")
    if path.is_symlink():
        raise TaskvecError("is a link", where=path, fix=f"name the folder itself, or {OTHER_PATH}")
    if not path.exists() or is_begun(path):
        return
    if not (path / METADATA).is_file():
        raise TaskvecError("exists and is not a Zarr store", where=path, fix=OTHER_PATH)
    attributes = read_attributes(Folder(path))
    if not is_ours(attributes):
        raise TaskvecError(what_else(attributes), where=path, fix=OTHER_PATH)
    if not overwrite and stored(Folder(path)) is None:
        raise TaskvecError("exists, from another version of taskvec", where=path, fix=OVERWRITE)


OTHER_PATH = "choose another output path"
OVERWRITE = "choose another output path, or replace it with --overwrite (overwrite=True)"


def is_ours(attributes: Mapping[str, Any]) -> bool:
    """Whether the attributes of a group say that a sweep made it."""
    return attributes.get("taskvec") == RESULT or ("taskvec_version" in attributes and "input_sha256" in attributes)


def what_else(attributes: Mapping[str, Any]) -> str:
    """What a group is that is no result."""
    if attributes.get("taskvec") == "store":
        return "is a store of factors, not a result"
    return "is a Zarr store that taskvec did not make"


def is_begun(path: Path) -> bool:
    """Whether a folder holds nothing but the beginning of a result."""
    with suppress(OSError):
        return path.is_dir() and (path / OWN).is_dir() and not (path / METADATA).exists()
    return False


def make_folder(path: Path) -> None:
    """The folder of a result, if it is not there."""
    try:
        path.mkdir(exist_ok=True)
        (path / OWN).mkdir(exist_ok=True)
    except OSError as error:
        what = f"cannot write here ({error.strerror})"
        raise TaskvecError(what, where=path.parent, fix=OTHER_PATH) from error


def order_of(entries: tuple[Entry, ...], before: Stored | None, where: str) -> tuple[int, ...]:
    """The order of adapters in a result: those that it has, as it has them, then what is new.

    Raises:
        TaskvecError: one that the result has is not given.
    """
    if before is None:
        return tuple(range(len(entries)))
    place = {entry.name: i for i, entry in enumerate(entries)}
    if gone := [name for name in before.names if name not in place]:
        some = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
        what = (
            f"exists, with {len(gone)} adapter{'s' * (len(gone) > 1)} that {'are' if len(gone) > 1 else 'is'} not given"
        )
        raise TaskvecError(what, where=where, got=some, fix=f"give them too, {OVERWRITE}")
    known = set(before.names)
    return (*(place[name] for name in before.names), *(i for i, entry in enumerate(entries) if entry.name not in known))


def check_options(before: Stored, context: str, options: Mapping[str, Any], where: str) -> None:
    """TaskvecError for a result that was computed in another way, with what differs."""
    if before.context == context:
        return
    differ = [name for name in options if options[name] != before.options.get(name)]
    told = "; ".join(f"{name} {before.options.get(name)}, not {options[name]}" for name in differ)
    what = f"exists, with other options ({told or 'computed by another version of taskvec'})"
    raise TaskvecError(what, where=where, fix=OVERWRITE)


def move_away(path: Path) -> str:
    """Give the result at ``path`` another name, until the new one is complete; says which."""
    with Lease(Folder(path), "swept"):
        pass  # nobody writes it
    for i in count(1):
        name = path.with_name(f"{path.stem}.replaced{'' if i == 1 else i}{path.suffix}")
        if not name.exists() and not name.is_symlink():
            path.rename(name)
            return name.name
    raise AssertionError


def remove_result(path: Path) -> bool:
    """Delete the files of a result, nothing else; whether the folder is gone."""
    with suppress(OSError):
        if path.is_symlink() or not is_ours(read_attributes(Folder(path))):
            return False
        root = json.loads((path / METADATA).read_bytes())
        arrays = root.get("consolidated_metadata", {}).get("metadata", {})
        for name in [*arrays, OWN]:
            for file in [*files_of(path / name)]:
                file.unlink()
        (path / METADATA).unlink()
        for folder in sorted((one for one in path.rglob("*") if one.is_dir()), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        path.rmdir()
        return True
    return False


def files_of(folder: Path) -> Iterator[Path]:
    """The metadata and the chunks of an array, or what is in our own folder."""
    for file in folder.rglob("*"):
        inside = file.relative_to(folder).parts
        if file.is_file() and (folder.name == OWN or inside == (METADATA,) or inside[0] == "c"):
            yield file


def extra_arrays(storage: Storage, known: Mapping[str, Array]) -> dict[str, Any]:
    """Metadata of the arrays that were added to a result after its sweep."""
    try:
        metadata = json.loads(storage.read(METADATA))["consolidated_metadata"]["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {name: one for name, one in metadata.items() if name not in known}
