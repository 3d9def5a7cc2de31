"""The ledger: one line for each unit whose chunks are on the disk, in a file of its writer's own."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

from ..storage import Storage
from .chunks import is_whole
from .seals import SEAL, is_sealed, sealed

OWN = ".taskvec"  # what only this program reads: the ledger, the lease, the plan
LEDGER = f"{OWN}/ledger"
LINES = ".jsonl"


@dataclass(frozen=True)
class Record:
    """A unit that was computed and written.

    Attributes:
        unit: its place in the result.
        key: of everything that decides its values.
        chunks: size and checksum, in hexadecimal, of each file that it wrote, by name.
        sequence: greater than that of every older record of the unit.
        about: what else is worth keeping: the inputs, seconds, the host.
    """

    unit: str
    key: str
    chunks: Mapping[str, tuple[int, str]]
    sequence: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> bytes:
        return sealed(asdict(self)) + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Record | None:
        """None for a line that was torn or damaged: its unit counts as not computed."""
        try:
            if not is_sealed(line):
                return None
            found = json.loads(line)
            del found[SEAL]
            made = cls(**found)
            chunks = {str(name): (int(size), str(crc)) for name, (size, crc) in made.chunks.items()}
            return cls(str(made.unit), str(made.key), chunks, int(made.sequence), dict(made.about))
        except (ValueError, TypeError, AttributeError):
            return None


class Ledger:
    """The newest record of every unit; ``refresh`` reads what any writer has added since.

    Nothing is recorded before its chunks are on the disk, so a unit of which there is no line was not finished, and is
    computed again. A chunk that two units wrote counts for the newer one.
    """

    def __init__(self, folder: Storage) -> None:
        self.folder = folder
        self.newest: dict[str, Record] = {}
        self.spoilt: set[str] = set()  # files with lines that are whole and not as they were written
        self._read: dict[str, int] = {}  # bytes of each file
        self._own: str | None = None

    def refresh(self) -> None:
        for name in self.folder.names(LEDGER):
            if name in self._read and not name.endswith(LINES):
                continue  # an object, which does not grow
            data = self.folder.read(name, self._read.get(name, 0))
            whole = data[: data.rfind(b"\n") + 1]  # a line may still be on its way
            self._read[name] = self._read.get(name, 0) + len(whole)
            for line in whole.splitlines():
                if record := Record.of_line(line):
                    self._add(record)
                else:
                    self.spoilt.add(name)

    def append(self, unit: str, key: str, chunks: Mapping[str, tuple[int, str]], about: Mapping[str, Any]) -> Record:
        """Record a unit whose chunks are on the disk."""
        before = self.newest.get(unit)
        record = Record(unit, key, chunks, 1 + (before.sequence if before else 0), about)
        if self._own is None or self._own.split("-")[-2] != str(os.getpid()):
            self._own = f"{LEDGER}/{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}{LINES}"
        self.folder.append(self._own, record.line())
        self._add(record)
        return record

    def mend(self) -> None:
        """Leave damaged lines out of their files; nobody else may be writing."""
        for name in self.spoilt:
            lines = self.folder.read(name).splitlines(keepends=True)
            self.folder.write(name, b"".join(line for line in lines if Record.of_line(line.removesuffix(b"\n"))))
        self.spoilt.clear()

    def is_done(self, unit: str, key: str) -> bool:
        """Whether the newest record of a unit has this key, and its chunks are on the disk."""
        record = self.newest.get(unit)
        return record is not None and record.key == key and not self.damaged(record)

    def damaged(self, record: Record, *, all_bytes: bool = False) -> list[str]:
        """The chunks of a record that are not those on the disk, by size and last bytes, or by all of them."""
        return [name for name, found in record.chunks.items() if not self._is_there(name, found, all_bytes)]

    def _is_there(self, name: str, recorded: tuple[int, str], all_bytes: bool) -> bool:
        found = self.folder.tail(name)
        if found is None or (found[0], found[1].hex()) != recorded:
            return False
        return not all_bytes or is_whole(self.folder.read(name))

    def _add(self, record: Record) -> None:
        before = self.newest.get(record.unit)
        if before is None or record.sequence >= before.sequence:
            self.newest[record.unit] = record

    def __getstate__(self) -> dict[str, Any]:
        # another process writes to a file of its own
        return self.__dict__ | {"_own": None}
